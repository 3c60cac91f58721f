"""``dim serve``: a local page (live, and videos from files) and a streaming interface."""
