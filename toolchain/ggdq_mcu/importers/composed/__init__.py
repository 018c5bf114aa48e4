"""Which layers of Keras are written out in several operators? One file a kind; nothing else lists them.

A file has LAYERS, the layers' classes with what turns each into nodes, and OPERATIONS, the same for those of keras.ops.
"""
