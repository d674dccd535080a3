"""What stands on `queries` and `answers`."""

from __future__ import annotations

import secrets
from typing import Final, Literal

import msgspec

#: The largest answer: one record of a topic that every asker reads.
MAX_ANSWER_BYTES: Final = 256 * 1024

#: Why there is no result.
Failure = Literal[
    "unknown_customer",  # nothing is known of the customer
    "not_kept",  # the record of the time asked for is not there
    "recovering",  # the partition's owner is still reading its state
    "unknown_kind",  # this release knows no such query
    "bad_arguments",  # the arguments are not those of the kind
    "too_large",  # the answer would be larger than an answer may be
    "failed",  # a fault of the worker's: its log says which
]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One question. The answer carries its `request_id`, which nobody can guess."""

    request_id: str
    kind: str
    arguments: msgspec.Raw
    #: Epoch ms by the asker's clock; nobody waits for an answer after it.
    deadline: int


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no result, for programs and for people."""

    code: Failure
    message: str


#: JSON of no result: a union with `Raw` cannot be decoded.
NOTHING: Final = msgspec.Raw(b"null")


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker says: a result of the query's kind, or an error."""

    request_id: str
    #: The worker that answered: host and process.
    worker: str
    result: msgspec.Raw = NOTHING
    error: Error | None = None


class CustomerQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Arguments of kind `customer`: whom, and as of when. The result is a `CustomerReport`."""

    user_id: str
    #: Epoch ms, `decision` for the last decision time, or absent for now.
    as_of: int | Literal["decision"] | None = None


query_decoder: Final = msgspec.json.Decoder(Query)
answer_decoder: Final = msgspec.json.Decoder(Answer)


def new_request_id() -> str:
    """128 random bits."""
    return secrets.token_hex(16)
