"""The actor through which progress comes from a cluster; its process imports no torch."""


class Sink:
    """Keeps what workers tell until it is asked for; of a task's steps, only the newest matters."""

    def __init__(self) -> None:
        self.kept: dict[object, bytes] = {}

    def put(self, place: object, data: bytes) -> None:
        """Keep an event's frame in its place, instead of what was there."""
        self.kept[place] = data

    def drain(self) -> list[bytes]:
        """Hand out what is kept."""
        kept, self.kept = list(self.kept.values()), {}
        return kept
