"""The embedded broker: Kafka's protocol without Kafka, for demos and tests.

It is librdkafka's mock cluster, which the confluent-kafka wheel carries, driven through ctypes
(`rdkafka_mock.h`, an experimental interface of librdkafka). It holds everything in memory.

What it can do: produce, fetch, record headers, consumer groups with rebalances, committed offsets,
earliest and latest offsets, any number of partitions per topic.

What it cannot, and what follows (tests/broker/test_embedded_broker.py pins most of it):

- A partition keeps its newest 5 MiB of record batches *as stored*, and at most 100,000 batches
  (`max_size` and `max_cnt` in rdkafka_mock.c; no setting reaches them), and moves its log start up
  silently. Producers therefore bound what is in flight by consumer lag; compression stretches it,
  since batches count compressed. Of two batches that exceed 5 MiB together even the newer one is lost:
  no batch above 1 MiB.
- One fetch returns one record batch of a partition: throughput follows the producer's batches.
- A fetch that waits is not woken by new records and holds up every later answer on its
  connection: `fetch_max_wait_ms` is the latency.
- A group waits for members that are dead until their sessions time out: a worker killed and started
  again has its partitions after 2.3 s with `session_timeout_ms` 1000, 3.3 s with 2000, 11 s with 6000
  (measured). `group_instance_id` is accepted and means nothing. Short sessions make short restarts.
- A rebalance of several members fails for a follower whose SyncGroup arrives after the leader's: it is
  told INVALID_REQUEST, at which aiokafka gives up. An assignor that takes longer than a round trip (50 ms)
  avoids that; tests with several workers are safer on a real Kafka.
- Nothing is compacted, aged or deduplicated (the idempotent producer is merely accepted), and
  transactions do not work. Offsets cannot be looked up by time. No admin call but metadata and offset fetch
  exists: topics are created here, by the owner of the process. Asking for an unknown topic by name
  creates it with 4 partitions, so all of them are created first.
- Nothing is authenticated or encrypted: it listens on the loopback interface only.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)

#: What a partition holds before its log start moves up: bytes of record batches, as stored.
PARTITION_BYTES = 5 * 1024 * 1024

_HOST = "127.0.0.1"
#: Between two commands to the mock broker: one given while its thread is still answering the last is
#: sometimes seen only at that thread's next poll, a second later (measured: 1 in 10).
_BREATH_S = 0.001
_PRODUCER = 0  # rd_kafka_type_t: the mock cluster hangs on a client handle of any type
_ERRSTR_SIZE = 512

_pointer, _text, _int, _int32 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int32
_SIGNATURES: dict[str, tuple[type | None, list[type]]] = {
    "rd_kafka_conf_new": (_pointer, []),
    "rd_kafka_conf_set": (_int, [_pointer, _text, _text, _text, ctypes.c_size_t]),
    "rd_kafka_new": (_pointer, [_int, _pointer, _text, ctypes.c_size_t]),
    "rd_kafka_destroy": (None, [_pointer]),
    "rd_kafka_err2str": (_text, [_int]),
    "rd_kafka_mock_cluster_new": (_pointer, [_pointer, _int]),
    "rd_kafka_mock_cluster_destroy": (None, [_pointer]),
    "rd_kafka_mock_cluster_bootstraps": (_text, [_pointer]),
    "rd_kafka_mock_topic_create": (_int, [_pointer, _text, _int, _int]),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [_pointer, _int32]),
    "rd_kafka_mock_broker_set_host_port": (None, [_pointer, _int32, _text, _int]),
}


class BrokerError(RuntimeError):
    """The embedded broker cannot do what was asked; the message says why in one line."""


class EmbeddedBroker:
    """One mock broker in this process, with the given topics (name to partition count).

    `port` 0 takes any free one. Use it as a context manager, or `start` and `close` it. Its own
    thread serves the clients; nothing of Python runs there.

    Raises `BrokerError` when librdkafka is missing or the port is taken.

    >>> with EmbeddedBroker({"orders": 4}) as broker:
    ...     broker.bootstrap.startswith("127.0.0.1:")
    True
    """

    def __init__(self, topics: Mapping[str, int], *, port: int = 0, rebalance_delay_ms: int = 100) -> None:
        self._topics = dict(topics)
        self._port = port
        self._rebalance_delay_ms = rebalance_delay_ms
        self._client: int | None = None
        self._cluster: int | None = None
        self.bootstrap = ""

    def start(self) -> Self:
        """Listen and create the topics; `bootstrap` is the address afterwards."""
        self._lib = _librdkafka()
        errstr = ctypes.create_string_buffer(_ERRSTR_SIZE)
        conf = self._lib.rd_kafka_conf_new()
        # Errors only: as a client of nobody it would warn that it has no bootstrap.servers.
        self._lib.rd_kafka_conf_set(conf, b"log_level", b"3", errstr, _ERRSTR_SIZE)
        self._client = self._lib.rd_kafka_new(_PRODUCER, conf, errstr, _ERRSTR_SIZE)
        if not self._client:
            raise BrokerError(f"librdkafka does not start: {errstr.value.decode()}")
        try:
            self._start_cluster(self._client)
        except BaseException:
            self.close()
            raise
        return self

    def _start_cluster(self, client: int) -> None:
        self._cluster = self._lib.rd_kafka_mock_cluster_new(client, 1)
        if not self._cluster:
            raise BrokerError("librdkafka cannot open a listening socket on the loopback interface")
        self._lib.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, self._rebalance_delay_ms)
        self.bootstrap = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        if self._port:
            _move_listener(self.bootstrap, self._port)
            self._lib.rd_kafka_mock_broker_set_host_port(self._cluster, 1, _HOST.encode(), self._port)
            self.bootstrap = f"{_HOST}:{self._port}"
        for name, partitions in self._topics.items():
            self.create_topic(name, partitions)

    def create_topic(self, name: str, partitions: int) -> None:
        """Create one more topic while running; `BrokerError` when it exists already."""
        time.sleep(_BREATH_S)
        error = self._lib.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        if error:
            reason = self._lib.rd_kafka_err2str(error).decode()
            raise BrokerError(f"topic {name} with {partitions} partitions was not created: {reason}")

    def close(self) -> None:
        """Stop listening and forget everything. A second call does nothing."""
        cluster, self._cluster = self._cluster, None
        client, self._client = self._client, None
        if cluster:
            time.sleep(_BREATH_S)
            self._lib.rd_kafka_mock_cluster_destroy(cluster)
        if client:
            self._lib.rd_kafka_destroy(client)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def run_broker(bootstrap_file: Path | None, topics: Mapping[str, int], port: int = 0) -> None:
    """Serve until SIGTERM or SIGINT: the `churnwatch broker` process.

    Prints the bootstrap address on standard output and, for programs that wait for it, writes it
    to `bootstrap_file` (whole or not at all; removed again at the end). Call it from the main thread.
    """
    stops = {signal.SIGTERM, signal.SIGINT}
    # Blocked before librdkafka makes its threads, so that sigwait is the only one to get them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    try:
        with EmbeddedBroker(topics, port=port) as broker:
            print(broker.bootstrap, flush=True)
            if bootstrap_file:
                _write_whole(bootstrap_file, broker.bootstrap)
            try:
                received = signal.sigwait(stops)
                _log.info("embedded broker stops on %s", signal.Signals(received).name)
            finally:
                if bootstrap_file:
                    bootstrap_file.unlink(missing_ok=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _write_whole(path: Path, text: str) -> None:
    """Atomic write: a reader sees no file or all of it."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    partial.write_text(text)
    partial.replace(path)


def _librdkafka() -> ctypes.CDLL:
    """The librdkafka that confluent-kafka itself has loaded, whatever the platform calls the file.

    The lookup of a symbol in confluent-kafka's own extension module goes on in the libraries it
    is linked with (dlsym(3)): `confluent_kafka.libs/` in Linux wheels, `.dylibs/` in macOS wheels,
    the system's library in a source build.
    """
    try:
        from confluent_kafka import cimpl  # noqa: PLC0415 (only who runs the broker needs it)
    except ImportError as error:
        raise BrokerError(f"the embedded broker needs confluent-kafka: {error}") from error
    library = ctypes.CDLL(cimpl.__file__)
    for name, (result, arguments) in _SIGNATURES.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise BrokerError(f"the librdkafka of this confluent-kafka has no {name}") from None
        function.restype, function.argtypes = result, arguments
    return library


def _move_listener(bootstrap: str, port: int) -> None:
    """Put a socket on `port` in the place of the one on which the mock broker listens.

    The mock broker cannot be told its port. It polls its listening socket by file descriptor, so
    a socket of ours under the same descriptor is accepted from at its next poll (≤ 1 s).
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
        except OSError as error:
            raise BrokerError(f"port {port} is not free: {error.strerror}") from error
        listener.listen()
        os.dup2(listener.fileno(), _descriptor_of(bootstrap), inheritable=False)


def _descriptor_of(address: str) -> int:
    """File descriptor of this process's socket bound to `address` (host:port)."""
    host, port = address.rsplit(":", 1)
    for descriptor in range(os.sysconf("SC_OPEN_MAX")):
        try:
            duplicate = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue  # closed, or no socket
        with duplicate:
            if duplicate.family == socket.AF_INET and duplicate.getsockname() == (host, int(port)):
                return descriptor
    raise BrokerError(f"no socket of this process listens on {address}")
