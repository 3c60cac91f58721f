"""``dim serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dimcli.cli import console
from dimcli.cli.options import ForceFaceOption

if TYPE_CHECKING:
    from dimcli.web.server import Address


def serve(
    host: Annotated[
        str,
        typer.Option(
            help="Address to bind to. Any but this machine's own (127.0.0.1) lets others in, who "
            "need the token that is then printed."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to bind to; 0 takes any that is free.")
    ] = 8765,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where made and recorded videos are kept. Default: in the user's folder.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Who listens live: bundled name, or a run of --preset live or "
            "--ablation online. Default: listener-live.",
            show_default=False,
        ),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="A page of yours that may use it: http://localhost:3000. May be repeated.",
            show_default=False,
        ),
    ] = None,
    force_face: ForceFaceOption = False,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Open a page with a face that listens while you talk.

    It runs on this machine, makes videos from files, too, and has a Stream API for programs.
    """
    from dimcli.core.errors import needing
    from dimcli.core.installing import install

    with needing(f"dim serve needs a server: {install('serve')}"):
        import starlette  # noqa: F401  is it here?
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    from dimcli.web.server import serve as serve_page
    from weights import user_folder

    def ready(address: Address) -> None:
        console.say(f"open {address.url} (Ctrl-C ends it)")
        if browser:
            import webbrowser

            webbrowser.open(address.url)

    try:
        kept = folder or user_folder() / "serve"
        serve_page(host, port, kept, weights, origin or (), ready, console.say, force_face)
    except KeyboardInterrupt:
        console.say("stopped")
