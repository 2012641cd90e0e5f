"""Reports of tested runs: tables of several runs, an HTML page of one."""
