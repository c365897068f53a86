"""`k8s adopt`: turns existing flows into flows of BaseFlow, and compares their pods.

from_batch      @batch read as @kubernetes (batch_parameters, convert_call, find_uses,
                text_edits, batch_pods)
names           which names of a file may stand for something else than is written
source          one file: its imports, and what its names stand for
values          the value of an expression, from the source alone
read_decorators each @kubernetes of a step
read_flows      the flows of files
propose         which values go to k8s.toml, into a pool, or stay with their step
rewrite         the source with that change, and no other
write_config    k8s.toml with the new values
which_flows     those that are compiled, because they may change
working_copy    a copy of the project in which flows are compiled
prove           the pods before and after, and how they differ
write_files     refuses uncommitted files, and writes all files or none
adoption        runs these steps in order
"""
