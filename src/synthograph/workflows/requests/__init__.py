"""What each job can be asked: one request per file, called after the job. Nothing here imports
torch, so that options and help are there at once.
"""
