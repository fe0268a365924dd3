"""The steps of a study, one module each: functions of a Study and paths, for workflow and commands."""
