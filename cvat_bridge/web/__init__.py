"""The manager's page: what serves and why, where it fails, and frames sent to people.

Server-rendered and part of `cvat-bridge run`. `app.py` joins it; `people/` is who is signed in
and what they may, `screens/` what a screen shows as values, `charts/` their pictures in SVG,
`templates/` and `static/` what a browser gets.
"""
