from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from features import rejection
from features.hashing import partition_of
from features.inputs import EVENT_TYPES
from features.mapping import FieldMapping
from features.observing import Record
from features.rejection import Reason, Rejected
from interventions import commands
from streams import contracts, deadletters, outputs
from streams.contracts import write_contracts
from streams.contracts.examples import EXAMPLES
from streams.contracts.page import MAPPING
from streams.contracts.words import field_comments, literal_comments
from streams.topics import CATALOGUE
from tests.building import DECODERS

DOCS = Path(__file__).parents[3] / "docs"
page, document = cache(contracts.page), cache(contracts.document)
PUBLIC = [name for name, topic in CATALOGUE.items() if topic.role != "internal"]


def section(title: str) -> str:
    """The part of the page below a heading, down to the next one of the same rank."""
    rank = "#" * 3
    return page().split(f"\n{rank} {title}\n", 1)[1].split(f"\n{rank} ", 1)[0]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contracts")
    write_contracts(folder)
    return folder


@pytest.mark.parametrize("name", ["contracts.md", "asyncapi.json", "rights.md"])
def test_the_committed_contracts_are_those_of_the_types(written: Path, name: str):
    assert (written / name).read_text() == (DOCS / name).read_text(), "run `churnwatch contracts`"


def test_every_event_type_has_an_example():
    for topic, kinds in EVENT_TYPES.items():
        assert [type(example) for example in EXAMPLES[topic]] == list(kinds)


@pytest.mark.parametrize("topic", sorted(EVENT_TYPES))
def test_every_example_on_the_page_decodes_to_the_event_it_shows(topic: str):
    lines = re.findall(r"^\{.*\}$", section(topic), re.MULTILINE)

    assert [DECODERS[topic].decode(line.encode()) for line in lines] == list(EXAMPLES[topic])


@pytest.mark.parametrize("topic", sorted(EXAMPLES.keys() - EVENT_TYPES.keys()))
def test_every_output_example_is_read_back_as_what_it_is(topic: str):
    for example in EXAMPLES[topic]:
        assert msgspec.json.decode(msgspec.json.encode(example), type=type(example)) == example


def test_the_example_of_a_shell_decodes_and_its_key_is_its_user():
    key, value = re.findall(r"echo '(\S+?)\|(.*)' \|", page())[0]

    event: Any = DECODERS["clickstream"].decode(value.encode())

    assert event.user_id == key


def test_the_partitions_by_which_a_client_is_checked_are_right():
    (first, second) = re.findall(r"`foobar` goes to partition (\d+), `c-1001` to (\d+)", page())[0]

    assert (int(first), int(second)) == (partition_of(b"foobar", 12), partition_of(b"c-1001", 12))


def test_the_mapping_on_the_page_works():
    row = {
        "messageId": "m",
        "userId": "u",
        "timestamp": 1_700_000_000,
        "event": "Basket Add",
        "properties": {},
    }

    event = DECODERS["clickstream"].decode(FieldMapping.from_toml(MAPPING).translate(row, "1"))

    assert (event.kind.name, event.ts) == ("ADD_TO_CART", 1_700_000_000_000)


def test_every_field_of_every_message_says_what_it_means():
    rows = re.findall(r"^\| (`\w+`) \| .* \| (?:yes)? \| (.*) \|$", page(), re.MULTILINE)

    assert len(rows) > 80
    assert [field for field, meaning in rows if not meaning.strip()] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_topic_stands_on_the_page_and_in_the_document(name: str):
    assert f"\n| `{name}` | " in page()
    assert name in {channel["address"] for channel in document()["channels"].values()}


def test_no_internal_topic_is_promised_to_anybody():
    internal = CATALOGUE.keys() - PUBLIC

    assert internal
    assert not any(f"`{name}`" in page() for name in internal)


def test_every_reference_in_the_document_leads_somewhere():
    root = document()
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(root))

    assert len(references) > 100
    for reference in references:
        node: Any = root
        for step in reference.split("/"):
            node = node[step]


def test_inputs_are_received_and_outputs_are_sent():
    operations = document()["operations"]

    assert {name for name, each in operations.items() if each["action"] == "receive"} == set(EVENT_TYPES)
    assert operations["commands-sms"]["messages"] == [{"$ref": "#/channels/commands-sms/messages/Command"}]


def test_the_document_knows_a_types_other_names():
    assert document()["components"]["schemas"]["ViewItem"]["properties"]["type"]["enum"] == [
        "view_item",
        "Product Viewed",
    ]


def test_every_reason_has_its_line():
    assert tuple(literal_comments(rejection, "Reason")) == get_args(Reason)
    assert tuple(literal_comments(commands, "Withheld")) == get_args(commands.Withheld)


def test_the_headers_of_a_dead_letter_are_those_on_the_page():
    letter = deadletters._letter("orders", 3, Record(7, b"u1", b"{"), Rejected("malformed_json", "cut off"))
    described = page().split("\n## Dead letters\n")[1].split("\n\n| `reason` |")[0]

    assert re.findall(r"^\| `(\w+)` \|", described, re.MULTILINE) == [name for name, _ in letter.headers]


def test_every_output_with_an_example_has_a_cloudevents_type():
    assert EXAMPLES.keys() - EVENT_TYPES.keys() <= outputs._TYPES.keys()
    assert outputs._TYPES["churn-alerts"] in page()


def test_the_comment_above_a_field_is_its_meaning():
    class Thing(msgspec.Struct):
        #: How large it is,
        #: in metres.
        size: float
        # Not for readers.
        colour: str

    assert field_comments(Thing) == {"size": "How large it is, in metres."}
