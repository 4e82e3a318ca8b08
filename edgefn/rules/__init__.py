"""Pure verdicts: functions of facts and `now`, each with its reason."""
