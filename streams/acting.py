"""What this worker will really do about customers: one line for people who start it, and for its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interventions.commands import command_topic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from features.fields import Channel
    from streams.settings import Settings

_NAMES: Final[Mapping[Channel, str]] = {"coupon": "coupon", "email": "e-mail", "sms": "SMS", "call": "call"}


def what_is_sent(settings: Settings) -> str:
    """Whether commands will be carried out, through which channels, and where those of this mode stand."""
    mode, names = settings.interventions.mode, settings.kafka.topics()
    if mode == "off":
        return "sends nothing: mode off; alerts are raised, nothing is decided"
    channels = [offering.channel for offering in settings.policy().offerings]
    told = ", ".join(_NAMES[channel] for channel in channels)
    where = ", ".join(names[command_topic(channel, mode)] for channel in channels)
    if mode == "shadow":
        return f"sends nothing: mode shadow; commands for {told} stand on {where}"
    return f"SENDS REAL COMMANDS: mode live; {told}, on {where}"


def notes(settings: Settings) -> Iterator[str]:
    """What else decides who is reached."""
    acting = settings.interventions
    if acting.mode != "off" and acting.timezone is None:
        yield "interventions.timezone is not set; whose own time zone is unknown gets no SMS and no call"
    if acting.mode != "off" and acting.assume_consent:
        told = ", ".join(_NAMES[channel] for channel in acting.assume_consent)
        yield f"consent is assumed where the shop said nothing of it (interventions.assume_consent): {told}"
