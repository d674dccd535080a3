"""Answering from memory: what a worker says to each kind of query about the partitions it owns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from features.hashing import partition_of
from interventions.customer_report import UnknownCustomerError, report
from models.known import NotKeptError
from models.wire import UNREADABLE
from streams.querying.messages import MAX_ANSWER_BYTES, CustomerQuery, Error, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from models.versions import ModelSet
    from streams.customers import CustomerPartition
    from streams.dispatching import DispatchPartition


class Desk(NamedTuple):
    """What queries are answered from: this worker's partitions by number, and the models in force."""

    customers: Mapping[int, CustomerPartition]
    ledgers: Mapping[int, DispatchPartition]
    models: Callable[[], ModelSet]
    partitions: int

    def answer(self, kind: str, arguments: msgspec.Raw) -> bytes | Error | None:
        """The result in JSON, or why there is none; None if another worker must answer.

        Takes milliseconds and changes nothing.
        """
        handler = _KINDS.get(kind)
        if handler is None:
            return _error("unknown_kind", f"this release knows the kinds {', '.join(_KINDS)}")
        try:
            found = handler(self, arguments)
        except UNREADABLE as error:
            return _error("bad_arguments", str(error))
        if isinstance(found, Error) or found is None:
            return found
        result = msgspec.json.encode(found)
        if len(result) > MAX_ANSWER_BYTES:
            return _error("too_large", f"the answer takes {len(result):,} bytes of {MAX_ANSWER_BYTES:,}")
        return result

    def _customer(self, arguments: msgspec.Raw) -> Any:
        asked = msgspec.json.decode(arguments, type=CustomerQuery)
        number = partition_of(asked.user_id.encode(), self.partitions)
        owner, ledger = self.customers.get(number), self.ledgers.get(number)
        if owner is None or ledger is None or not (owner.owned and ledger.owned):
            return None
        if not (owner.ready.is_set() and ledger.ready.is_set()):
            return _error("recovering", f"partition {number} is being recovered: ask again in a moment")
        try:
            return report(owner.core, ledger.ledger, self.models(), asked.user_id, asked.as_of)
        except UnknownCustomerError as error:
            return _error("unknown_customer", str(error.args[0]))
        except NotKeptError as error:
            return _error("not_kept", str(error))


_KINDS: Final[Mapping[str, Callable[[Desk, msgspec.Raw], Any]]] = {"customer": Desk._customer}  # noqa: SLF001
#: The kinds of queries that this release answers.
KINDS: Final = frozenset(_KINDS)


def _error(code: Failure, message: str) -> Error:
    return Error(code=code, message=message)
