"""The first contact with Kafka: what would keep every client out for good is said in one line.

aiokafka logs why a broker keeps it out and raises "Unable to bootstrap" whatever it was; a client that runs
already tries again for ever. So every command greets the brokers first, as its clients will connect.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, Final

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

if TYPE_CHECKING:
    from streams.topic_admin import ClientOptions

#: Longest wait for each answer.
_WAIT_MS: Final = 10_000
#: First byte of a TLS alert. A client without TLS takes it for the first of a length.
_TLS_ALERT: Final = 0x15


class RefusedError(RuntimeError):
    """Client and broker do not agree about encryption or identity, and trying again will not help."""


async def greet(options: ClientOptions) -> bool:
    """Connect to a bootstrap server, then to every broker that it names; False if no server answered.

    Raises RefusedError for what only other settings, certificates or users can mend. A broker that is merely
    not there, or does not answer, is left to the clients.
    """
    refused: RefusedError | None = None
    for host, port, _ in collect_hosts(options["bootstrap_servers"]):
        try:
            brokers = await _meet(host, port, options)
        except RefusedError as error:
            refused = error
        else:
            if brokers is not None:
                others = brokers - {(host, port)}
                await asyncio.gather(*(_meet(*other, options) for other in others))
                return True
    if refused is not None:
        raise refused
    return False


async def keep_greeting(options: ClientOptions, seconds: float = 30.0) -> None:
    """Greet again and again, until cancelled or refused twice in a row; raises RefusedError.

    Certificates expire and passwords change while a worker runs. Its clients would try for ever to come back.
    """
    if options["security_protocol"] == "PLAINTEXT":
        return
    while True:
        await asyncio.sleep(seconds)
        try:
            await greet(options)
        except RefusedError:
            # A broker may have been caught while it went down.
            await asyncio.sleep(seconds / 10)
            await greet(options)


async def _meet(host: str, port: int, options: ClientOptions) -> set[tuple[str, int]] | None:
    """The brokers that one of them names; None if it is not there. Raises RefusedError."""
    wire = {name: value for name, value in options.items() if name != "bootstrap_servers"}
    try:
        return await _ask(host, port, wire)
    except (KafkaError, OSError, TimeoutError) as error:
        why = _why_user(error, wire) or _why_tls(error, wire) or await _why_silent(error, host, port, wire)
        if why is None:
            return None
        raise RefusedError(f"the broker at {host}:{port} {why}") from error


async def _ask(host: str, port: int, wire: dict[str, Any]) -> set[tuple[str, int]]:
    connection = await create_conn(host, port, request_timeout_ms=_WAIT_MS, **wire)
    try:
        answer = await connection.send(MetadataRequest([]))
    except KafkaConnectionError as error:
        if "sasl_mechanism" in wire:
            raise
        # It told its versions and hung up at the first real question: so do listeners that want a user.
        raise IllegalSaslStateError from error
    finally:
        connection.close()
    return {(broker[1], broker[2]) for broker in answer.brokers}


def _why_user(error: BaseException, wire: dict[str, Any]) -> str | None:
    """What the broker has against the user; None if nothing."""
    set_to = f"kafka.security_protocol is {wire['security_protocol']}"
    match error:
        case SaslAuthenticationFailed():
            return f"does not accept user {wire['sasl_plain_username']!r} with this password"
        case UnsupportedSaslMechanismError():
            return f"knows no {wire['sasl_mechanism']}: set kafka.sasl_mechanism to what it offers"
        case IllegalSaslStateError() if "sasl_mechanism" in wire:
            return f"takes no users there: {set_to}"
        case IllegalSaslStateError():
            return f"hangs up on a client without user: {set_to}"
    return None


def _why_tls(error: BaseException, wire: dict[str, Any]) -> str | None:
    """What stands against encryption as it is set; None if nothing."""
    cause = error.__cause__
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"shows a certificate that is not to be trusted: {error.verify_message} (kafka.ssl_ca_file)"
    if isinstance(cause, ssl.SSLError):
        return (
            f"refuses this client's certificate, or that there is none: {cause.reason} (kafka.ssl_cert_file)"
        )
    if isinstance(cause, asyncio.IncompleteReadError) and (cause.expected or 0) >> 24 == _TLS_ALERT:
        return f"speaks TLS: kafka.security_protocol is {wire['security_protocol']}"
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return f"does not come to terms about TLS: {error.reason}"
    return None


async def _why_silent(error: BaseException, host: str, port: int, wire: dict[str, Any]) -> str | None:
    """Why a TLS handshake was cut off: because the broker speaks without TLS, or for no reason of ours."""
    if not wire["security_protocol"].endswith("SSL") or not isinstance(error, ConnectionError | ssl.SSLError):
        return None
    try:
        plain = await create_conn(host, port, request_timeout_ms=_WAIT_MS)
    except (KafkaError, OSError, TimeoutError):
        return None
    plain.close()
    return f"speaks no TLS there: kafka.security_protocol is {wire['security_protocol']}"
