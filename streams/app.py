"""The composition root: from frozen settings to a running worker. Nothing is built anywhere else."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from features.layout import TOPICS
from models.marks import MODES
from streams.acting import what_is_sent
from streams.audit import note_mode
from streams.authorisation import require_rights
from streams.bulk import BulkApp
from streams.context import Context, wall_clock_ms
from streams.deadletters import DeadLetters
from streams.engine import EngineConfig
from streams.flood import FloodGuard
from streams.greeting import keep_greeting
from streams.health import Health
from streams.input_topics import InputTopics
from streams.logs import logger
from streams.membership import FencedError
from streams.model_store import FrozenModels, ModelStore
from streams.outputs import Publisher
from streams.querying.desk import Desk
from streams.querying.service import QueryService
from streams.rights import WORKER
from streams.sending import Sender, new_producer
from streams.session_store import SessionStore
from streams.skips import Skips, pass_over
from streams.stopping import cancelled
from streams.telemetry import Metrics
from streams.topic_admin import require_topics
from streams.web import serve
from streams.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from models.versions import ModelSet
    from streams.producer import Producer
    from streams.settings import Settings

log = logger(__name__)

_NEVER_SECONDS: Final = 365 * 86_400.0


def faust_app(settings: Settings) -> BulkApp:
    """The Faust app: one consumer group, its assignor, no tables and no web server of its own."""
    kafka = settings.kafka
    # Faust makes this folder's own subfolders only; by default they would lie in the working directory.
    folder = settings.worker.state_dir / "faust"
    folder.mkdir(parents=True, exist_ok=True)
    app = BulkApp(
        kafka.group,
        broker=[f"kafka://{server}" for server in kafka.bootstrap_servers.split(",")],
        broker_credentials=_credentials(settings),
        store="memory://",
        datadir=str(folder),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=kafka.instance_id,
        broker_commit_interval=kafka.commit_interval_seconds,
        broker_session_timeout=kafka.session_timeout_seconds,
        # At the next heartbeat a worker hears of a rebalance, for which all others wait.
        broker_heartbeat_interval=min(kafka.session_timeout_seconds / 4, 1.0),
        broker_request_timeout=max(kafka.session_timeout_seconds + 10, 40),
        # A worker with nothing assigned never polls, and would leave the group for good after 1000 s.
        broker_max_poll_interval=_NEVER_SECONDS,
        broker_max_poll_records=5_000,
        worker_redirect_stdouts=False,
    )
    app.fetch_wait_ms = kafka.fetch_wait_ms
    app.in_flight_bytes = settings.worker.in_flight_bytes
    return app


def _credentials(settings: Settings) -> Any:
    kafka = settings.kafka
    if kafka.security_protocol == "PLAINTEXT":
        return None
    import faust  # noqa: PLC0415 - only where Faust's own auth types are needed

    context = kafka.ssl_context() if kafka.security_protocol.endswith("SSL") else None
    if kafka.security_protocol == "SSL":
        return faust.SSLCredentials(context)
    return faust.SASLCredentials(
        username=kafka.sasl_username,
        password=kafka.sasl_password.get_secret_value(),
        ssl_context=context,
        mechanism=kafka.sasl_mechanism,
    )


def add_agents(app: BulkApp, settings: Settings, worker: Worker, *, learning: bool) -> None:
    """The three agents. Each is one loop that puts batches into the queues of their partitions."""
    names = settings.kafka.topics()

    def agent(name: str, step: Callable[[Any], None], *topics: str) -> None:
        async def loop(stream: Any) -> None:
            async for event in stream.noack().events():
                step(event)

        app.agent(app.bulk_topic(*(names[topic] for topic in topics)), name=name)(loop)

    agent("observe", worker.observe, *TOPICS)
    agent("dispatch", worker.dispatch, "churn-alerts")
    if learning:
        agent("learn", worker.learn, "examples")


@asynccontextmanager
async def running(settings: Settings, frozen: ModelSet | None = None) -> AsyncIterator[Worker]:
    """A worker that runs until the block ends; `frozen` models do not learn.

    The worker's `error` future fails when it cannot go on; leaving the block is a graceful stop.
    """
    topics, metrics = settings.kafka.topics(), Metrics()
    options = settings.kafka.client_options()
    async with AsyncExitStack() as stack:
        producer = new_producer(options)
        stack.push_async_callback(producer.stop)
        sender = Sender(producer, settings.worker.write_timeout_seconds)
        context = _context(settings, sender, metrics, frozen)
        app = faust_app(settings)
        worker = Worker(context, app)
        add_agents(app, settings, worker, learning=frozen is None)
        app.on_partitions_assigned.connect(lambda _, assigned, **__: worker.assigned(assigned))
        app.on_partitions_revoked.connect(lambda _, revoked, **__: worker.revoked(revoked))
        health = Health(settings, metrics, worker, app, time.monotonic)
        await stack.enter_async_context(serve(settings, metrics, worker, health))
        connected = asyncio.Event()

        async def follow_models() -> None:
            # Not before: a topic that is missing is told by the check of all of them.
            await connected.wait()
            await context.models.follow(context.patience)

        async def answer_queries() -> None:
            await connected.wait()
            desk = Desk(
                worker.customers, worker.ledgers, lambda: context.models.current, settings.kafka.partitions
            )
            await QueryService(context, desk).follow()

        async def follow_sessions() -> None:
            await connected.wait()
            await context.sessions.follow(context.patience)

        async def follow_skips() -> None:
            await connected.wait()
            await context.skips.follow(context.patience)

        tasks = (
            follow_models(),
            follow_sessions(),
            follow_skips(),
            pass_over(app, context),
            worker.heartbeat(),
            keep_greeting(options),
            context.inputs.watch(),
            answer_queries(),
        )
        for task in tasks:
            stack.push_async_callback(cancelled, _watched(task, worker))
        log.info("starting", group=topics.group, broker=settings.kafka.bootstrap_servers)
        log.info(what_is_sent(settings))
        for mode in MODES:
            metrics.mode.labels(mode).set(mode == settings.interventions.mode)
        stack.push_async_callback(app.stop)
        stack.push_async_callback(worker.close)
        for task in (_join(app, producer, context, connected), health.watch()):
            stack.push_async_callback(cancelled, _watched(task, worker))
        yield worker


def _context(settings: Settings, sender: Sender, metrics: Metrics, frozen: ModelSet | None) -> Context:
    topics, options, limits = settings.kafka.topics(), settings.kafka.client_options(), settings.worker
    models = (
        ModelStore(topics["models"], settings.trainer(), options, metrics, settings.secret)
        if frozen is None
        else FrozenModels(frozen, topics["models"], settings.trainer(), metrics)
    )
    return Context(
        settings=settings,
        topics=topics,
        sender=sender,
        publisher=Publisher(sender, topics, metrics),
        dead_letters=DeadLetters(sender, topics, metrics),
        flood=FloodGuard(limits.max_dead_share, limits.dead_letter_window, limits.state_dir / "flood.json"),
        models=models,
        sessions=SessionStore(topics["control"], options, metrics, wall_clock_ms),
        metrics=metrics,
        engine=EngineConfig(
            state_dir=limits.state_dir,
            partitions=settings.kafka.partitions,
            client_options=options,
            checkpoint_seconds=limits.checkpoint_seconds,
            checkpoint_bytes=limits.checkpoint_bytes,
            checkpoint_ratio=limits.checkpoint_ratio,
        ),
        inputs=InputTopics(topics, options),
        skips=Skips(topics["skips"], options, metrics),
    )


def _watched(coroutine: Any, worker: Worker) -> asyncio.Task[None]:
    """Run beside the worker; an error in it stops the worker."""

    async def watched() -> None:
        try:
            await coroutine
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for the worker
            worker.fail(error)

    return asyncio.create_task(watched())


async def _join(app: BulkApp, producer: Producer, context: Context, connected: asyncio.Event) -> None:
    """Connect as soon as there is a broker, see that all is right, join the group; runs until Faust crashes.

    Raises RightsError if the worker's user may not do all that it must, TopicsError if a topic is missing or
    wrong, and InputTopicError.
    """
    topics, options = context.topics, context.engine.client_options

    async def connect() -> None:
        await require_rights(WORKER, topics, options)
        await require_topics(topics, options)
        await context.inputs.look()
        await producer.start()
        await note_mode(context)

    await context.patience.outlast("connection", connect)
    connected.set()
    await app.start()
    await _crash_of(app)


async def _crash_of(app: BulkApp) -> None:
    """Ends with an error when Faust crashes: it would otherwise stay alive and do nothing."""
    while not app.crashed:  # noqa: ASYNC110 - mode has no public event for it
        await asyncio.sleep(0.2)
    if isinstance(app.crash_reason, FencedError):
        raise app.crash_reason
    raise RuntimeError(f"Faust crashed: {app.crash_reason!r}") from app.crash_reason
