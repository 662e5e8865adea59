"""The diagram of a port's states and the table of the same in words."""

from __future__ import annotations

from enum import Enum

from _ext import states
from bs4 import BeautifulSoup

# The state diagram


class Light(Enum):
    RED = "red"
    GREEN = "green"
    OFF = "off"


TABLE: states.Table[Light] = {
    Light.RED: {"wait": Light.GREEN, "cut_power": Light.OFF, "stay": Light.RED},
    Light.GREEN: {"a_rather_long_event_that_has_to_be_wrapped": Light.RED, "cut_power": Light.OFF},
    Light.OFF: {},
}


def test_the_diagram_has_every_state_and_every_event() -> None:
    picture = BeautifulSoup(states.draw(TABLE, "A <light>", "Three states."), "html.parser")
    texts = "".join(text.text.strip() for text in picture.find_all("text"))
    for word in ("red", "green", "off", "wait", "cut_power", "stay"):
        assert word in texts
    assert "a_rather_long_event_that_has_to_be_wrapped" in texts
    assert [picture.select(f"svg > {name}")[0].text for name in ("title", "desc")] == [
        "A <light>",
        "Three states.",
    ]


def test_no_two_texts_of_the_diagram_overlap() -> None:
    picture = BeautifulSoup(states.draw(TABLE, "t", "d"), "html.parser")
    boxes = []
    for text in picture.find_all("text"):
        x, y, width = float(str(text["x"])), float(str(text["y"])), len(text.text) * states.LETTER
        left = x - width / 2 if "state" in text.get_attribute_list("class") else x
        boxes.append((left, y - 11, left + width, y + 3, text.text))
    for number, (left, top, right, bottom, _) in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart, (boxes[number], other)


def test_the_table_in_words_has_a_row_for_each_step() -> None:
    rows = states.as_table(TABLE).splitlines()
    assert rows[:2] == ["| in | on | to |", "|---|---|---|"]
    assert rows[2] == "| red | wait | green |"
    assert len(rows) == 2 + 5
