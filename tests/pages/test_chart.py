"""The chart of the View page, with few bars and with many."""

from datetime import UTC, datetime, timedelta

import pytest

from exports.chart import Chart, Slot
from exports_portal.common import words

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def chart(count: int, *, hours: int = 24, most: int = 1_500_000) -> Chart:
    """The last bar is the highest."""
    slots = [
        Slot(f"run {place}", BEGIN + timedelta(hours=hours * place), most * (place + 1) // count, 0)
        for place in range(count)
    ]
    return Chart(slots, noun="run")


@pytest.mark.parametrize("count", [2, 5, 24, 60])
def test_bars_stand_across_the_whole_width_and_never_touch(count: int) -> None:
    bars = chart(count).bars
    assert len(bars) == count
    ends = [bar.x + bar.width for bar in bars]
    assert all(bar.width <= Chart.WIDEST for bar in bars)
    assert all(end < bar.x for end, bar in zip(ends, bars[1:], strict=False))
    left, right = bars[0].x - Chart.LEFT, Chart.WIDTH - ends[-1]
    assert left == pytest.approx(right, abs=0.1)
    assert 0 < left <= (Chart.WIDTH - Chart.LEFT) / count / 2


@pytest.mark.parametrize(
    ("count", "hours", "shown"),
    [
        (2, 24, ["2 Nov", "1 Nov"]),
        (2, 12, ["1 Nov, 12:00", "1 Nov, 00:00"]),
        (5, 24, ["5 Nov", "4 Nov", "3 Nov", "2 Nov", "1 Nov"]),
        (60, 12, ["30 Nov", "25 Nov", "20 Nov", "15 Nov", "10 Nov", "5 Nov"]),
    ],
)
def test_the_axis_tells_when_from_the_newest_on(count: int, hours: int, shown: list[str]) -> None:
    times = chart(count, hours=hours).times
    assert [time.text for time in times] == shown
    assert all(0 <= time.x <= Chart.WIDTH for time in times)


@pytest.mark.parametrize(
    ("most", "shown"),
    [
        (1, ["0", "1"]),
        (4, ["0", "1", "2", "3", "4"]),
        (5, ["0", "2", "4", "6"]),
        (999, ["0", "500", "1K"]),
        (1_500_000, ["0", "500K", "1M", "1.5M"]),
        (10**12, ["0", "500B", "1T"]),
    ],
)
def test_lines_across_the_chart_are_round_numbers(most: int, shown: list[str]) -> None:
    drawn = chart(2, most=most)
    assert [tick.text for tick in drawn.counts] == shown
    assert min(tick.y for tick in drawn.counts) == Chart.TOP
    assert all(bar.delivered_y >= Chart.TOP for bar in drawn.bars)


def test_a_few_of_very_many_can_be_seen() -> None:
    drawn = Chart([Slot("", BEGIN, 10**9, 1), Slot("", BEGIN, 0, 0)], noun="run")
    assert [(bar.delivered_height > 1, bar.rejected_height > 1) for bar in drawn.bars] == [(True, True), (False, False)]


def test_a_chart_of_hours_has_times_of_the_day() -> None:
    slots = [Slot("", BEGIN + timedelta(hours=place), 1, 0) for place in range(24)]
    assert [time.text for time in Chart(slots, noun="hour").times] == [
        "23:00", "19:00", "15:00", "11:00", "07:00", "03:00",
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "shown"), [(0, "0"), (999, "999"), (1_500, "1.5K"), (20 * 10**9, "20B")])
def test_numbers_where_there_is_little_room(count: int, shown: str) -> None:
    assert words.compact(count) == shown
