"""Who makes the fits that a search asks for; :mod:`foldwise.search.jobs` says how to be one."""
