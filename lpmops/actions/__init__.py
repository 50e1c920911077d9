"""What lpmops can change: each action makes a plan from what it sees, and knows how each of its steps is observed and done.

`registry` lists them once for both faces, `desk` is where a face gets one planned, approved and run. Nothing here asks a person or draws; the engine
alone acts.
"""
