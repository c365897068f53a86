"""All that touches Metaflow: compiling flows, what their code says, creating them.

Every private name of Metaflow that the tool uses is in this room. It may import pods and project.
"""
