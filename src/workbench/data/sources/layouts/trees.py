"""Open Assistant's conversation trees: as trees, an object each, or as flat messages.

Every message may have several replies, and the answers to a question are ranked (0 is the best). A path
from the first question to an answer is a conversation. The best-ranked path takes the best answer to each
question; of several further questions, which nobody ranks, the first one that was answered. Deleted
messages and what hangs on them are no part of any path.

Source: https://github.com/LAION-AI/Open-Assistant, ``oasst-data/oasst_data/schemas.py``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from workbench.data.records import Record
from workbench.data.sources.findings import Finding
from workbench.data.sources.items import Item, kind_in_words, shortened
from workbench.data.sources.layouts.conversations import count_turns, exchange_values
from workbench.data.sources.layouts.layout import Keys, Row, Unusable, each, needed, without

PROMPTER, ASSISTANT = "prompter", "assistant"
Node = Mapping[str, Any]
Path = tuple[Node, ...]


def is_tree(values: Mapping[str, Any], keys: Keys) -> bool:
    """Say whether an object is a tree."""
    return "message_tree_id" in values and isinstance(values.get("prompt"), dict)


def is_message(values: Mapping[str, Any], keys: Keys) -> bool:
    """Say whether an object is a message of a tree."""
    return {"message_id", "text", "role"} <= values.keys()


def best_path(root: Node) -> Iterator[Path]:
    """Yield the path of the best answers."""
    path = [root]
    while replies := _replies(path[-1]):
        if path[-1]["role"] == PROMPTER:
            path.append(min(replies, key=_rank))
        elif further := next((one for one in replies if _replies(one)), None):
            path.append(further)
        else:
            break
    if path[-1]["role"] == ASSISTANT:
        yield tuple(path)


def every_path(root: Node) -> Iterator[Path]:
    """Yield the path to each answer after which nothing else was answered, in the file's order."""
    waiting: list[Path] = [(root,)]
    while waiting:
        path = waiting.pop()
        replies = _replies(path[-1])
        if path[-1]["role"] == ASSISTANT:
            replies = [one for one in replies if _replies(one)]
            if not replies:
                yield path
        waiting += [(*path, one) for one in reversed(replies)]


def tree_rows(paths: Callable[[Node], Iterator[Path]]) -> Callable[[Sequence[Item], Keys], Iterator[Row]]:
    """Return what makes records of trees."""

    def rows(item: Item, keys: Keys) -> Iterator[Row]:
        about = without(item.values, "prompt", "message_tree_id")
        for path in _found(needed(item, "prompt"), paths):
            yield _row(path, item.place, about)

    return each(rows)


def message_rows(paths: Callable[[Node], Iterator[Path]]) -> Callable[[Sequence[Item], Keys], Iterator[Row]]:
    """Return what makes records of flat messages."""

    def rows(items: Sequence[Item], keys: Keys) -> Iterator[Row]:
        nodes: dict[str, dict[str, Any]] = {}
        places: dict[str, str] = {}
        for item in items:
            name = str(item.values.get("message_id"))
            if not is_message(item.values, keys) or name in nodes:
                what = "whose 'message_id' is an earlier message's" if name in nodes else _NO_MESSAGE
                yield Unusable(what, shortened(repr(name))).row(item.place)
                continue
            nodes[name] = {**item.values, "replies": []}
            places[name] = item.place
        roots = []
        for name, node in nodes.items():
            parent = node.get("parent_id")
            if not parent:
                roots.append(node)
            elif (above := nodes.get(str(parent))) is not None:
                above["replies"].append(node)
            else:
                yield Unusable("whose 'parent_id' no message has", shortened(repr(parent))).row(places[name])
        reached = {str(node["message_id"]) for root in roots for node in _below(root)}
        for name in nodes:
            if name not in reached and str(nodes[name].get("parent_id")) in nodes:
                yield Unusable("that is an answer to what answers it").row(places[name])
        for root in roots:
            try:
                for path in _found(root, paths):
                    yield _row(path, places[str(path[-1]["message_id"])], {})
            except Unusable as reason:
                yield reason.row(places[str(root["message_id"])])

    return rows


_NO_MESSAGE = "without 'message_id', 'text' and 'role'"


def count_tree_turns(items: Sequence[Item], records: Sequence[Record]) -> str:
    """Say how many trees there are beside the conversations that were made of them."""
    return f"{len(items):,} trees, {count_turns(items, records)}"


def count_message_turns(items: Sequence[Item], records: Sequence[Record]) -> str:
    """Say how many messages there are beside the conversations that were made of them."""
    return f"{len(items):,} messages, {count_turns(items, records)}"


def _found(root: Node, paths: Callable[[Node], Iterator[Path]]) -> list[Path]:
    """Return the paths of a tree, of which there is at least one."""
    _check(root)
    found = [] if root.get("deleted") else list(paths(root))
    if not found:
        raise Unusable("without an answer to its first question")
    return found


def _below(root: Node) -> Iterator[Node]:
    """Yield a message and all that hangs on it."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node["replies"]


def _check(root: Node) -> None:
    """Refuse a tree in which a message isn't one, or questions and answers don't alternate."""
    waiting: list[tuple[object, str]] = [(root, PROMPTER)]
    while waiting:
        node, role = waiting.pop()
        if not (isinstance(node, dict) and isinstance(node.get("text"), str)):
            what = kind_in_words(node) if not isinstance(node, dict) else kind_in_words(node.get("text"))
            raise Unusable("with a message that has no text", what)
        if node.get("role") != role:
            told = shortened(repr(node.get("role")))
            raise Unusable(
                "whose roles don't alternate", f"message {node.get('message_id')!r} is from {told}"
            )
        replies = node.get("replies") or []
        if not isinstance(replies, list):
            raise Unusable("with 'replies' that aren't a list", kind_in_words(replies))
        waiting += [(reply, ASSISTANT if role == PROMPTER else PROMPTER) for reply in replies]


def _replies(node: Node) -> list[Node]:
    return [reply for reply in node.get("replies") or [] if not reply.get("deleted")]


def _rank(node: Node) -> float:
    """Return an answer's rank; one that has none comes behind all that have."""
    rank = node.get("rank")
    return float(rank) if isinstance(rank, int | float) and not isinstance(rank, bool) else float("inf")


def _row(path: Path, place: str, about: Mapping[str, Any]) -> Row:
    answer = path[-1]
    row = Row(
        place=place,
        values={"id": answer.get("message_id"), **exchange_values([node["text"] for node in path])},
        columns={**about, **without(answer, "message_id", "parent_id", "text", "role", "replies", "deleted")},
        names={"prompt": "last question", "response": "last answer", "id": "'message_id'"},
    )
    empty = sum(not node["text"].strip() for node in path[:-2])
    if empty:
        row.findings.append(Finding(place, "with an empty turn", option="on_empty"))
    return row
