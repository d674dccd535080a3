"""`churnwatch replay`: the command around the replayer, with a progress bar."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from streams.context import wall_clock_ms
from streams.replay import Replayed, replaying
from streams.sources import SourceError
from streams.sources.screening import screened

if TYPE_CHECKING:
    from rich.console import Console

    from streams.settings import Settings
    from streams.sources import Source, SourceEvent
    from streams.tally import TallyReader

_FATES: Final = ("accepted", "duplicate", "late", "refused")


def bar(console: Console) -> Progress:
    """A progress bar for events."""
    return Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("events"),
        TimeElapsedColumn(),
        console=console,
    )


async def replay_source(
    settings: Settings, source: Source, speed: float | None, *, then_live: bool, console: Console
) -> Replayed:
    """Replay a source against running workers, and say what became of it.

    Raises SourceError, and what `Replayer.run` raises.
    """
    found = screened(source, wall_clock_ms(), settings.model.horizon_days)
    for note in found.notes:
        console.print(note, highlight=False, soft_wrap=True)
    if not (events := list(found.events)):
        raise SourceError(f"there is nothing to replay in {source.name}")
    done = await replay_events(settings, events, console, speed=speed, then_live=then_live)
    console.print(f"{done.events:,} events in {done.intervals:,} grid intervals", highlight=False)
    fates = ", ".join(f"{done.fates[fate]:,} {fate}" for fate in _FATES)
    console.print(f"as the workers saw them: {fates}", highlight=False)
    if then_live:
        console.print("history is handed over: the workers are live")
    return done


async def replay_events(
    settings: Settings,
    events: list[SourceEvent],
    console: Console,
    *,
    speed: float | None = None,
    then_live: bool = False,
    tally: TallyReader | None = None,
) -> Replayed:
    """Replay time-ordered events under a progress bar; `tally` reads what came out after each interval."""
    with bar(console) as progress:
        task = progress.add_task("replaying", total=len(events))

        def show(done: Replayed) -> None:
            day = datetime.fromtimestamp(done.ts / 1000, UTC).date()
            progress.update(task, completed=done.events, description=f"replayed to {day}")

        async with replaying(settings) as replayer:
            after = None if tally is None else tally.read
            return await replayer.run(
                events, speed=speed, then_live=then_live, progress=show, after_interval=after
            )
