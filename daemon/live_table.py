"""The table of both live views: at most as many rows as are seen, and a line of totals below."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from envkiln.daemon.marks import mark_of
from envkiln.daemon.text import one_line


@dataclass(frozen=True, slots=True)
class Row:
    """One environment: `image` is the short name, `age` how long it is in its state, `why` the reason for it."""

    id: str
    state: str
    image: str
    age: str
    why: str


def live_table(rows: Iterable[Row], caption: str) -> Table:
    table = Table(box=None, pad_edge=False, caption=Text(caption), caption_justify="left", expand=True)
    table.add_column("", width=1)
    table.add_column("environment", no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column("state", width=8)
    table.add_column("image", width=12)
    table.add_column("for", width=5, justify="right")
    table.add_column("why", no_wrap=True, overflow="ellipsis", ratio=5)
    for row in rows:
        mark, colour = mark_of(row.state)
        style = colour or "dim"
        table.add_row(
            Text(mark, style=style), Text(one_line(row.id)), Text(row.state, style=style), row.image, row.age, _why(row)
        )
    return table


def _why(row: Row) -> Text:
    # As text: what is in brackets is no markup.
    return Text(one_line(row.why))
