"""Models in processes of their own, so that what one of them does reaches no other.

fleet.py   all workers of a host: their limits, and the thread that watches over them
apart.py   a model as the host sees it: the Runner that asks a worker
worker.py  one worker: started, asked, ended, started again after a growing pause
lane.py    how a question and its images reach a worker's process
child.py   what runs in that process
"""
