"""The page that reports are written on: one HTML file that needs nothing else.

Readable on a desk and on a phone, in light and in dark. Whatever belongs to one of several methods
carries its index as ``data-m``; a switch at the top shows one at a time, the first without scripts.
A chart's row of a method carries ``data-row``, and is marked while it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dimcli.evaluation.report.style import SCRIPT, STYLE, shown


@dataclass(frozen=True)
class Section:
    """A titled part of a page; ``body`` is HTML. ``id`` is its anchor."""

    id: str
    title: str
    body: str


def page(title: str, lead: str, sections: Sequence[Section], methods: Sequence[str] = ()) -> str:
    """A whole page; ``lead`` is HTML. ``methods`` are what the switch switches, if several."""
    links = "".join(f'<a href="#{one.id}">{escape(one.title)}</a>' for one in sections)
    bodies = "".join(
        f'<section id="{one.id}"><h2>{escape(one.title)}</h2>{one.body}</section>'
        for one in sections
    )
    return (
        f'<!doctype html>\n<html lang="en" data-shown="0"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title>'
        f"<style>{STYLE}{shown(len(methods))}</style></head>\n<body><header><h1>{escape(title)}</h1>"
        f"<div class=lead>{lead}</div><nav>{links}</nav></header>{_switch(methods)}"
        f"<main>{bodies}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _switch(methods: Sequence[str]) -> str:
    if not methods:
        return ""
    choices = "".join(
        f'<label><input type="radio" name="shown" value="{index}"{"" if index else " checked"}>'
        f"<span>{escape(method)}</span></label>"
        for index, method in enumerate(methods)
    )
    return (
        '<form class="switch" autocomplete="off"><fieldset><legend><b class="key truth"></b>truth'
        '<b class="key method"></b>against</legend><div class="choices">'
        f"{choices}</div></fieldset></form>"
    )
