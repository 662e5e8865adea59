"""The book in other forms: what its directives wrote as HTML, where HTML is left out."""

from __future__ import annotations

from _ext.forms import plain
from _ext.workshop import html_table, literal, raw, titled
from docutils import nodes

HEAD = html_table("Ways", "What can come of it.", ["outcome", "schedules"])


def texts(children: list[nodes.Node]) -> list[list[str]]:
    """Return the rows of the first table."""
    (table,) = [child for child in children if isinstance(child, nodes.table)]
    return [[cell.astext() for cell in row.children] for row in table.findall(nodes.row)]


def test_a_table_in_html_becomes_a_table_with_its_caption_and_texts() -> None:
    box = titled("outcomes", "Ways")
    box += raw(f"{HEAD}<tbody><tr><th><code>done</code></th><td>3</td></tr></tbody></table>")
    found = list(plain(box.children))
    assert [child.astext() for child in found[:2]] == ["Ways", "What can come of it."]
    assert texts(found) == [["outcome", "schedules"], ["done", "3"]]


def test_lines_and_spans_are_words_of_their_own_but_a_witness_is_one_word() -> None:
    fault = "<strong>Fault: Leak</strong><span>1 block:<br/>Job</span>"
    witness = '<span class="witness">13:2<span>/release=R16B</span></span>'
    rows = f"<tr><th>{fault}</th><td>{witness}</td></tr>"
    assert texts(list(plain([raw(f"{HEAD}{rows}</table>")])))[1] == [
        "Fault: Leak 1 block: Job",
        "13:2/release=R16B",
    ]


def test_a_row_that_opens_is_left_out_with_all_that_it_hides() -> None:
    start = f'{HEAD}<tr><th>a</th><td>1</td></tr><tr class="how"><td colspan="2"><details>'
    end = "</details></td></tr><tr><th>b</th><td>2</td></tr></table>"
    found = list(plain([raw(start), literal("its timeline"), raw(end)]))
    assert texts(found)[1:] == [["a", "1"], ["b", "2"]]
    assert "timeline" not in " ".join(child.astext() for child in found)


def test_text_that_stands_between_the_tags_is_in_its_cell() -> None:
    line = nodes.paragraph("", "R7B-3 without threads")
    start, end = f'{HEAD}<tr><th colspan="2">', "</th></tr></table>"
    assert texts(list(plain([raw(start), line, raw(end)])))[1] == ["R7B-3 without threads", ""]


def test_of_what_stands_below_a_table_only_paragraphs_are_kept() -> None:
    table = raw(f"{HEAD}<tr><th>a</th><td>1</td></tr></table>")
    below = [nodes.paragraph("", "1 way to end."), raw("<details>"), literal("a 1")]
    *_, last = plain([table, *below])
    assert last.astext() == "1 way to end."


def test_a_box_without_a_table_stays_as_it_is() -> None:
    children = [nodes.paragraph("", "a picture"), raw("<svg></svg>"), literal("the same")]
    assert list(plain(children)) == children


def test_a_row_that_opens_may_have_a_grade_as_well() -> None:
    start = f'{HEAD}<tr class="fault"><th>a</th></tr><tr class="how fault"><td>hidden</td></tr>'
    assert texts(list(plain([raw(f"{start}</table>")])))[1:] == [["a", ""]]
