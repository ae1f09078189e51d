from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.jobs.report.markup import Markup, element, joined


def test_a_worked_example():
    inner = element("b", "a < b & c")
    assert inner == "<b>a &lt; b &amp; c</b>"
    assert (
        element("p", inner, " d", class_="x", data_name='"q"', hidden=True, id=None, open=False)
        == '<p class="x" data-name="&quot;q&quot;" hidden><b>a &lt; b &amp; c</b> d</p>'
    )
    assert element("img", src="a", alt="") == '<img src="a" alt="">'
    assert joined("<", Markup("<br>")) == "&lt;<br>"


def test_a_void_element_has_nothing_in_it():
    with pytest.raises(AssertionError):
        element("img", "text")


@given(st.text(), st.text())
def test_no_text_becomes_markup(text, value):
    seen, texts = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append((tag, attrs))

        def handle_data(self, data):
            texts.append(data)

    reader = Reader()
    reader.feed(element("p", text, title=value))
    reader.close()
    assert seen == [("p", [("title", value)])]
    assert "".join(texts) == text
