"""Why an input message is refused: the one exception that decoding raises, and its reasons."""

from __future__ import annotations

import traceback
from pathlib import PurePath
from typing import Final, Literal, get_args

#: Reasons as they stand in dead letters and in metrics; closed, so that both stay countable.
Reason = Literal[
    "oversize",  # more bytes than the limit
    "invalid_utf8",  # not UTF-8 throughout, ignored fields included
    "malformed_json",  # empty, not one JSON object, or nested too deeply
    "unknown_type",  # `type` is none of the topic's
    "missing_field",  # a required field is absent
    "bad_id",  # an id is no string, empty, longer than 256 bytes or holds a control character
    "bad_timestamp",  # `ts` is no time, outside 1990-2100, or ahead of its record, whose own may be wrong
    "stray_tick",  # a tick of which no replay session knows that was open when it was sent
    "bad_money",  # an amount is no number, negative, not finite or above 1e12
    "unknown_currency",  # there is no rate for it
    "bad_value",  # any other field has the wrong type or lies outside its range
    "misrouted",  # the key is absent, is not the user's, or the partition is not the key's
    "not_live",  # a stored command for a gateway, but it is not marked `live`, or this worker sends nothing
    "unknown_channel",  # an output that another release stored, for a topic that this one does not know
    "bad_example",  # a message of `examples` that cannot be learned from
    "unreadable_batch",  # a record batch that cannot be unpacked and that an operator passed over
    "row_too_large",  # a customer's row outgrew what a broker takes: what of it was given up, or not decided
    "undecodable",  # decoding it ended in an error that no rule foresees: a fault of churnwatch
]

REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

_LONGEST_DETAIL: Final = 200


class Rejected(Exception):  # noqa: N818 - a verdict on the message, not an error of the program
    """The message cannot be taken as an event. `reason` is for machines, `detail` for people.

    `detail` may quote the message, so it belongs into dead letters and not into logs.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        shown = detail if len(detail) <= _LONGEST_DETAIL else f"{detail[: _LONGEST_DETAIL - 1]}…"
        super().__init__(f"{reason}: {shown}")
        self.reason: Reason = reason
        self.detail = shown


class Undecodable(Rejected):
    """Decoding the message ended in an `error` that no rule foresees; the net below all the rules.

    `kind` is the class of the error and `detail` adds the line of code: its text may quote the message, and
    a count by kind must not.
    """

    def __init__(self, error: Exception) -> None:
        self.kind = type(error).__name__
        super().__init__("undecodable", f"{self.kind} at {_place(error)}")


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
