"""What makes a cluster a secured one: listeners with TLS and SASL, users, and Kafka's own access control.

Nobody may do anything but the super user `ADMIN` and whom an ACL allows it. A client is who its user name
says, or the common name of its certificate; without either it is `ANONYMOUS`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.kafka.certificates import Authority, Certificate

ADMIN: Final = "admin"
#: The brokers themselves, to each other.
_BROKER: Final = "broker"
_SCRAM: Final = ("SCRAM-SHA-256", "SCRAM-SHA-512")


class Listener(NamedTuple):
    """One way in: what Kafka calls its protocol, and whether a client must show a certificate."""

    protocol: str
    client_auth: bool = False


#: The ways in, by name; the first is the one for people.
LISTENERS: Final[Mapping[str, Listener]] = {
    "SASL_SSL": Listener("SASL_SSL"),
    "SASL_PLAINTEXT": Listener("SASL_PLAINTEXT"),
    "SSL": Listener("SSL"),
    "MUTUAL": Listener("SSL", client_auth=True),
    # Brokers among themselves have no passwords.
    "CONTROLLER": Listener("SSL", client_auth=True),
}


class Security:
    """Users and certificates of one cluster. `users` are passwords by name, besides that of `ADMIN`.

    `besides` are further listeners by name (TLS, no client certificate) and the certificate that each shows,
    which may be as wrong as it likes.
    """

    def __init__(
        self,
        authority: Authority,
        host: str,
        users: Mapping[str, str] | None = None,
        besides: Mapping[str, Certificate] | None = None,
    ) -> None:
        self.authority = authority
        self.users = {ADMIN: secrets.token_urlsafe(12), **(users or {})}
        self._certificate = authority.issue(_BROKER, [host, "localhost"])
        self._besides = besides or {}
        self.listeners = {**LISTENERS, **dict.fromkeys(self._besides, Listener("SSL"))}

    @property
    def admin(self) -> dict[str, str]:
        """How librdkafka's clients connect as the super user."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": ADMIN,
            "sasl.password": self.users[ADMIN],
            "ssl.ca.location": str(self.authority.ca_file),
        }

    @property
    def format_options(self) -> list[str]:
        """What the storage is formatted with: users exist before the first broker starts."""
        return [
            option
            for name, password in self.users.items()
            for mechanism in _SCRAM
            for option in ("--add-scram", f"{mechanism}=[name={name},password={password}]")
        ]

    def properties(self) -> dict[str, str]:
        """Server properties."""
        plain = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        login = "org.apache.kafka.common.security"
        found = {
            "listener.security.protocol.map": ",".join(
                f"{name}:{x.protocol}" for name, x in self.listeners.items()
            ),
            "inter.broker.listener.name": "MUTUAL",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMIN};User:{_BROKER}",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
            **self._stores("", self._certificate),
            "sasl.enabled.mechanisms": ",".join([*_SCRAM, "PLAIN"]),
        }
        for name, listener in self.listeners.items():
            prefix = f"listener.name.{name.lower()}."
            if listener.client_auth:
                found[f"{prefix}ssl.client.auth"] = "required"
            if listener.protocol.startswith("SASL"):
                scram = f"{login}.scram.ScramLoginModule required;"
                found |= {f"{prefix}{each.lower()}.sasl.jaas.config": scram for each in _SCRAM}
                found[f"{prefix}plain.sasl.jaas.config"] = f"{login}.plain.PlainLoginModule required {plain};"
        for name, certificate in self._besides.items():
            found |= self._stores(f"listener.name.{name.lower()}.", certificate)
        return found

    def _stores(self, prefix: str, certificate: Certificate) -> dict[str, str]:
        return {
            f"{prefix}ssl.keystore.type": "PEM",
            f"{prefix}ssl.keystore.location": str(certificate.store),
            f"{prefix}ssl.truststore.type": "PEM",
            f"{prefix}ssl.truststore.location": str(self.authority.ca_file),
        }
