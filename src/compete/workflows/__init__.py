"""The verbs: what the command line, Python, rehearsals and tests call, one file per verb.

Nothing here prints. A sentence beside the result is handed to `say`, how far the work is to `progress`, and a question
to whoever can answer it; what came of it is returned as an object, with its numbers as DataFrames.
"""
