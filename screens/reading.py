"""What the screens read of rounds: their curves, and what they kept, the last few summed up."""

from collections import OrderedDict

from engine import datasets
from engine.errors import BadInput
from engine.store import Store
from engine.views import Curve, extended
from engine.views.ticket import TicketView, ticket_view


def read_on(store: Store, run: str, key: str, known: Curve, *, at_work: bool) -> Curve:
    """The learning curve of a round of a run, past what is known of it; of a run that is not at work, as the round
    keeps it where the run does not. Waits for the disk and may run in a thread. Raises BadInput where it is damaged."""
    with store.open(run) as folder:
        points = folder.curve(key, after=int(known.iteration[-1]) if known.iteration else -1)
    if not points and not known.iteration and not at_work:
        stored = store.rounds.read(key)
        points = stored.curve if stored else []
    return extended(known, points)


KEPT_BYTES = 128_000_000
"""Memory for what was read: a whole ticket of LeNet, seven rounds of Conv-2."""


class Tickets:
    """What survived in rounds, by key. `read` waits for the disk and may run in a thread; one at a time."""

    def __init__(self, store: Store, room: int = KEPT_BYTES):
        self._store, self._room = store, room
        self._kept: OrderedDict[str, TicketView | None] = OrderedDict()
        self._shapes: dict[str, tuple[int, int, int] | None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def get(self, key: str) -> TicketView | None:
        """What is kept of a round; None, too, for one of which there is no file that can be believed."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def read(self, key: str, data: str | None) -> TicketView | None:
        """Read a round that learned from the data set `data`, and sum it up."""
        stored = self._store.rounds.read(key)
        return None if stored is None else ticket_view(stored.masks, stored.final.params, self._image_shape(data))

    def keep(self, key: str, view: TicketView | None) -> None:
        """Keep what was read, the one before it, and as many of those before them as there is room for."""
        self._kept[key] = view
        self._kept.move_to_end(key)
        room = self._room - sum(item.bytes for item in self._kept.values() if item)
        while room < 0 and len(self._kept) > 2:
            _, oldest = self._kept.popitem(last=False)
            room += oldest.bytes if oldest else 0

    def _image_shape(self, data: str | None) -> tuple[int, int, int] | None:
        """Of the data set's images; None where it is not at hand."""
        if data is None:
            return None
        if data not in self._shapes:
            try:
                self._shapes[data] = datasets.entry(data, self._store.home).image_shape
            except BadInput:
                self._shapes[data] = None
        return self._shapes[data]
