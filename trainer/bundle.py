"""A bundle: the publishable artefact, a folder of weights and the card that describes them.

    <bundle>/card.json       what it is; see Card
    <bundle>/model.onnx      weights, named in card.files with their sha256

The version of a bundle is the hash of its card's content and its files' hashes, so equal bundles
have equal versions and what was evaluated is what serves.
"""
