"""Where a model fails, on which pool frames it would fail alike, and the task made of those.

`queries.py` answers from what was recorded (`cvat_bridge/evaluations/`) and asks nobody else:
`recorded_models`, `blind_spots`, `failures`. `similar.py` ranks the pool by likeness to failures:
`find_similar`. `tasks.py` sends frames to people: `plan_task` says what would happen, `create_task`
does it, once for each key. The values that they give are in `types.py`; `to_json` writes any of
them.
"""
