"""Training: the configuration of a run, the loop, and all that makes a run resumable. Knows
families only through `models.base`; metrics come in as a callable.

Public names: `config.RunConfig`, `run.create_run`, `resume.resume_session`, `loop.Trainer`,
`state.save_state`, `state.load_state`.
"""
