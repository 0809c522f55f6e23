"""A dataset in COCO form: the folder that a pull writes and a fit reads.

    <dataset>/annotations.json   COCO; images[].split is train, val, test or holdout, images[].group
    <dataset>/images/            files (or links) named by images[].file_name
    <dataset>/manifest.json      optional: the fingerprint and where every frame came from
"""
