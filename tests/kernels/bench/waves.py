"""Bytes that the tiled products bring from memory at shapes too large to interpret.

The rule is that of ``qlora_kernels.lab.trace``: `SIDE_BY_SIDE` programs share through the L2 cache, and
nothing is kept for those after them. Here it is applied to which tile rows and tile columns each wave of
programs touches; a test holds it against the tracer's count at a small shape.
"""

from dataclasses import dataclass

from qlora_kernels.lab import trace
from qlora_kernels.linear_triton import NEIGHBOURS
from qlora_kernels.tiles import Tile


@dataclass(frozen=True)
class Product:
    """rows x columns of a result that sums over ``depth``; sizes are in elements, costs in bytes."""

    rows: int
    columns: int
    depth: int
    rank: int
    activation: int = 2
    """Bytes of an element of x, y and the adapters."""
    weight: float = 0.5625
    """Bytes of a packed weight with its share of a scale: NF4 in blocks of 64."""

    def compulsory(self) -> float:
        """Each input and output once."""
        sides = self.rows * (self.depth + self.rank + self.columns) + self.columns * self.rank
        return self.activation * sides + self.weight * self.columns * self.depth

    def fetched(self, tile: Tile) -> float:
        """From and to memory, wave by wave."""
        tall, wide = self._panels(tile)
        left = tall * tile.rows * self.activation * (self.depth + self.rank)
        right = wide * tile.columns * (self.weight * self.depth + self.activation * self.rank)
        return left + right + self.activation * self.rows * self.columns

    def _panels(self, tile: Tile) -> tuple[int, int]:
        """Pairs of a wave and a tile row that it touches, and of a wave and a tile column."""
        tile_rows, tile_columns = -(-self.rows // tile.rows), -(-self.columns // tile.columns)
        tall, wide = set(), set()
        for program in range(tile_rows * tile_columns):
            row, column = tile_of(program, tile_rows, tile_columns)
            tall.add((program // trace.SIDE_BY_SIDE, row))
            wide.add((program // trace.SIDE_BY_SIDE, column))
        return len(tall), len(wide)


def tile_of(program: int, tile_rows: int, tile_columns: int) -> tuple[int, int]:
    """The order in which the kernels of ``linear_triton`` take their tiles."""
    neighbours = NEIGHBOURS.value
    band, within = divmod(program, neighbours * tile_columns)
    height = min(tile_rows - band * neighbours, neighbours)
    return band * neighbours + within % height, within // height
