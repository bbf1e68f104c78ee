"""Features read in parts are those of the whole, and hold no more than the newest part."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nn.service.feature_rows import FeatureRows

RELAXED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PARTS = st.lists(st.tuples(st.integers(0, 299), st.integers(0, 80)), min_size=1, max_size=8)


@RELAXED
@given(parts=PARTS, ascending=st.booleans())
def test_every_part_has_the_bits_of_the_whole(kit, parts, ascending):
    """Whatever was asked before: on, back, overlapping, apart."""
    frame = kit.candles(300)
    whole = kit.features.compute(frame)
    rows = FeatureRows(lambda: kit.features.reader(frame))
    for start, length in sorted(parts) if ascending else parts:
        stop = min(start + length, 300)
        found = rows.read(start, stop)
        np.testing.assert_array_equal(found.view(np.uint32), whole[start:stop].view(np.uint32))


def test_sections_that_overlap_go_over_the_candles_once(kit):
    """As windows of history do; a part that is no longer kept is computed again."""
    frame, opened = kit.candles(300), []

    def open_reader():
        opened.append(kit.features.reader(frame))
        return opened[-1]

    rows = FeatureRows(open_reader)
    for start in range(0, 260, 20):
        rows.read(start, start + 35)
        assert rows.first == start
    assert len(opened) == 1
    rows.read(100, 110)
    assert len(opened) == 2


def test_what_overflowed_is_not_a_number(kit):
    """An infinity would be refused by the scaler; NaN says not_finite, for this window alone."""
    frame = kit.candles(300)

    class Overflowing:
        position = 0

        def read(self, start, stop):
            found = kit.features.compute(frame)[start:stop]
            found[3, 1] = np.inf
            self.position = stop
            return found

    found = FeatureRows(Overflowing).read(200, 230)
    assert np.isnan(found[3, 1])
    assert np.isfinite(np.delete(found, 3, axis=0)).all()
