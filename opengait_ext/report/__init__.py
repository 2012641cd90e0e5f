"""What a run has reached, to be looked at: tables of many runs, a page of one."""
