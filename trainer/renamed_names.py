"""The names of version 0.1 that have another one now, by module; read by trainer.moved."""

from __future__ import annotations

RENAMED: dict[str, dict[str, str]] = {
    "active_learning.measures": {
        "MEASURES": "active_learning.measures.uncertainty:MEASURES",
        "Measure": "active_learning.measures.uncertainty:Measure",
        "certainty": "active_learning.measures.uncertainty:certainty",
        "classification": "active_learning.measures.uncertainty:classification",
        "entropy": "active_learning.measures.uncertainty:entropy",
        "least_confidence": "active_learning.measures.uncertainty:least_confidence",
        "likely_miss": "active_learning.measures.uncertainty:likely_miss",
        "map_entropy": "active_learning.measures.uncertainty:map_entropy",
        "margin": "active_learning.measures.uncertainty:margin",
        "winning_score": "active_learning.measures.uncertainty:winning_score",
    },
    "active_learning.selectors": {
        "Choice": "active_learning.selectors.rankings:SelectorInput",
        "Selector": "active_learning.selectors.rankings:Selector",
        "random": "active_learning.selectors.rankings:random",
        "take_in_order": "active_learning.selectors.rankings:take_in_order",
        "top_k": "active_learning.selectors.rankings:top_k",
        "weighted_random": "active_learning.selectors.rankings:weighted_random",
    },
    "active_learning.measures.confident": {
        "BELIEVED": "MIN_CONFIDENCE",
        "believed": "confident_objects",
    },
    "active_learning.mistakes": {
        "LabelledFrame": "FrameToCheck",
    },
    "active_learning.picks": {
        "Context": "SelectionContext",
    },
    "active_learning.prepared": {
        "OwnStrategy": "ThirdPartyStrategy",
        "Prepared": "PreparedStrategy",
        "prepared": "prepare",
    },
    "active_learning.selectors.distances": {
        "Space": "EmbeddingSpace",
    },
    "active_learning.selectors.limits": {
        "Limits": "SelectionLimits",
    },
    "active_learning.selectors.rankings": {
        "Choice": "SelectorInput",
    },
    "trainer.backends.centernet.frames": {
        "Frame": "CenterNetFrame",
    },
    "trainer.backends.centernet.network": {
        "Outputs": "CenterNetOutputs",
    },
    "trainer.backends.centernet.settings": {
        "Settings": "CenterNetSettings",
    },
    "trainer.backends.extreme_points.batches": {
        "Drawn": "SeededSample",
        "Things": "ObjectSampler",
        "lesson": "batches_and_loss",
    },
    "trainer.backends.extreme_points.blending": {
        "apart": "split_held_out",
        "chosen": "best_blend",
        "mixed": "interpolate",
    },
    "trainer.backends.extreme_points.click_samples": {
        "Sample": "ClickSample",
        "Variation": "ClickAugmentation",
    },
    "trainer.backends.extreme_points.corrections": {
        "answered": "with_correction",
        "shown": "previous_mask",
        "spoilt": "with_corrupted_mask",
    },
    "trainer.backends.extreme_points.networks.unet": {
        "Join": "UpBlock",
        "Judge": "IouHead",
        "Outputs": "InteractorOutputs",
    },
    "trainer.backends.extreme_points.object_crops": {
        "Cutout": "ObjectCrop",
        "cut_out": "crop_objects",
        "make": "crop_object",
    },
    "trainer.backends.extreme_points.recipe": {
        "HELD": "HELD_OUT",
        "learnt": "train_stages",
    },
    "trainer.backends.extreme_points.scenes": {
        "pasted": "paste_object",
        "shape": "composed_shape",
    },
    "trainer.backends.extreme_points.settings": {
        "Settings": "ExtremePointsSettings",
    },
    "trainer.backends.features.export": {
        "Pooled": "PooledFeatures",
    },
    "trainer.backends.fit_checks": {
        "place_faults": "output_faults",
        "well_formed": "is_device",
    },
    "trainer.backends.learning.backend_settings": {
        "truth": "boolean",
    },
    "trainer.backends.learning.frames": {
        "Frame": "TrainingFrame",
        "coloured": "jitter_colour",
        "no_mask": "missing_mask",
        "vary": "augment",
    },
    "trainer.backends.learning.loop": {
        "Judge": "Validator",
        "Lesson": "BatchesAndLoss",
        "Loop": "TrainingLoop",
        "Tuning": "OptimizerSettings",
    },
    "trainer.backends.learning.memory": {
        "Need": "MemoryNeed",
        "check_kept": "check_image_memory",
        "need_of": "measure_memory",
        "recorded": "memory_errors",
    },
    "trainer.backends.learning.plan": {
        "Plan": "TrainingPlan",
        "with_size": "with_planned_size",
    },
    "trainer.backends.learning.sampling": {
        "drawn": "batch_rows",
    },
    "trainer.backends.learning.starting.carry": {
        "Rows": "HeadRows",
        "carry": "carry_weights",
    },
    "trainer.backends.learning.starting.initialise": {
        "Base": "BaseWeights",
        "begin": "initialise",
    },
    "trainer.backends.learning.starting.published": {
        "fetched": "fetch_weights",
        "fetched_file": "fetch_file",
    },
    "trainer.backends.learning.state": {
        "key_of": "state_key",
        "room_for": "disk_errors",
    },
    "trainer.backends.learning.training_recipe": {
        "Course": "TrainingRecipe",
        "take": "train",
    },
    "trainer.backends.learning.validating": {
        "Figures": "ExtraFigures",
        "judge": "validator",
    },
    "trainer.backends.learning.weight_average": {
        "Average": "WeightAverage",
    },
    "trainer.backends.libreyolo.published": {
        "Published": "PublishedFile",
    },
    "trainer.backends.libreyolo.serving": {
        "Served": "ExportedLibreyolo",
        "prepared": "preprocess",
    },
    "trainer.backends.libreyolo.settings": {
        "Settings": "LibreyoloSettings",
        "missing": "missing_libraries",
    },
    "trainer.backends.semantic.export": {
        "Served": "ExportedSemantic",
    },
    "trainer.backends.semantic.frames": {
        "Frame": "SemanticFrame",
        "vary": "augment",
    },
    "trainer.backends.semantic.networks": {
        "for_batch": "prepare_for_batch",
        "served": "without_auxiliary_head",
    },
    "trainer.backends.semantic.settings": {
        "Settings": "SemanticSettings",
    },
    "trainer.backends.torchvision_detection.serving": {
        "Candidates": "CandidateNetwork",
        "Masks": "MaskNetwork",
    },
    "trainer.backends.torchvision_detection.settings": {
        "Settings": "TorchvisionSettings",
    },
    "trainer.backends.yolo.callbacks": {
        "LEARNT": "PROGRESS_FILE",
        "Watch": "TrainingCallbacks",
    },
    "trainer.backends.yolo.fit": {
        "stepping": "with_step_schedule",
    },
    "trainer.backends.yolo.layout": {
        "lay_out": "write_layout",
    },
    "trainer.backends.yolo.live": {
        "Live": "LiveDetector",
    },
    "trainer.backends.yolo.relay": {
        "agreed": "broadcast_stop",
        "leads": "is_main_process",
        "relayed": "relaying",
        "teller": "relay_reporter",
    },
    "trainer.backends.yolo.settings": {
        "Settings": "YoloSettings",
    },
    "trainer.calibration": {
        "Bin": "CalibrationBin",
        "FEWEST": "MIN_DETECTIONS",
    },
    "trainer.calibration.learn": {
        "Answers": "ScoredDetections",
        "ISOTONIC_ANSWERS": "ISOTONIC_DETECTIONS",
        "LEAST_ANSWERS": "MIN_DETECTIONS",
        "OWN_ANSWERS": "OWN_DETECTIONS",
        "answers_of": "scored_detections",
    },
    "trainer.calibration.measure": {
        "Bin": "CalibrationBin",
        "FEWEST": "MIN_DETECTIONS",
    },
    "trainer.calibration.worth": {
        "MENDED": "FIXED_SHARE",
        "mended_share": "fixed_share",
    },
    "trainer.cli.console": {
        "Lines": "JsonLines",
        "bars": "progress_bars",
        "explain": "print_error",
    },
    "trainer.cli.fit_commands": {
        "COURSE": "SCHEDULE",
        "LOOKING": "EVALUATION",
        "WHAT": "DATA",
    },
    "trainer.cli.model_page": {
        "figures_told": "metrics_text",
    },
    "trainer.data.fingerprints": {"near_duplicates": "near_duplicate_groups"},
    "trainer.data.class_list": {
        "fitting": "matching_names",
    },
    "trainer.data.dataset_checks": {
        "JUDGES": "EVALUATION_SPLITS",
        "judge_of": "evaluation_split",
        "notes_on": "dataset_notes",
    },
    "trainer.data.validation_part": {
        "with_val": "with_validation_part",
    },
    "trainer.engines.generic_onnx": {
        "fitted": "fit_image",
        "given": "session_inputs",
    },
    "trainer.engines.interactor.click_constraints": {
        "obey": "enforce_clicks",
    },
    "trainer.engines.interactor.clicks": {
        "understand": "parse_clicks",
    },
    "trainer.engines.interactor.correcting.estimate": {
        "Estimate": "IouEstimate",
    },
    "trainer.engines.interactor.correcting.history": {
        "Answer": "PastAnswer",
        "History": "ClickHistory",
        "before": "answer_to_correct",
        "contradicted": "contradicted_answer",
        "last_sure": "last_clear_answer",
    },
    "trainer.engines.interactor.correcting.merging": {
        "merged": "merge_correction",
    },
    "trainer.engines.interactor.crop_cache": {
        "Look": "CachedCrop",
        "Looks": "CropCache",
    },
    "trainer.engines.interactor.extreme_points": {
        "agreed": "mean_of_views",
        "mirrored": "mirrored_views",
    },
    "trainer.engines.onnx_outputs": {
        "Answers": "RawOutputs",
        "gathered": "read_outputs",
    },
    "trainer.engines.runtime": {
        "fed": "first_input",
    },
    "trainer.engines.semantic": {
        "winners": "best_classes",
    },
    "trainer.engines.yolo": {
        "Frame": "Letterbox",
    },
    "trainer.evaluation.compare": {
        "Side": "ComparedModel",
        "gaps": "frame_gaps",
        "look": "evaluate_model",
    },
    "trainer.evaluation.evaluate": {
        "answer": "predict",
        "evaluate_answers": "evaluate_predictions",
    },
    "trainer.evaluation.mean_iou": {
        "NOBODY_KNOWS": "IGNORE_INDEX",
        "answered_map": "predicted_map",
    },
    "trainer.events": {
        "Events": "EventLog",
    },
    "trainer.gate.interactor_gate": {
        "FourClicks": "FourPointScores",
        "Verdict": "InteractorDecision",
        "judge": "decide_interactor",
    },
    "trainer.gate.promote": {
        "Decision": "GateDecision",
    },
    "trainer.gate.usefulness": {
        "Finding": "UsefulnessScore",
    },
    "trainer.importing": {
        "try_out": "trainer.importing.output_checks:try_detector",
        "Request": "ImportRequest",
    },
    "trainer.importing.descriptions": {
        "described": "read_description",
    },
    "trainer.importing.output_checks": {
        "faults_in": "output_faults",
        "look": "check_outputs",
        "try_out": "try_detector",
    },
    "trainer.importing.request": {
        "Request": "ImportRequest",
    },
    "trainer.importing.sandboxed_process": {
        "available": "sandbox_available",
        "run": "run_sandboxed",
        "surroundings": "clean_environment",
    },
    "trainer.importing.trial_run": {
        "answered": "check_detection",
        "opened": "check_opening",
    },
    "trainer.registry.mlflow_access": {
        "translated": "mlflow_errors",
    },
    "trainer.runs.left_open": {
        "closed": "note_closed",
        "opened": "note_opened",
    },
    "trainer.runs.run": {
        "Outcome": "FitResult",
    },
    "trainer.runs.run_folder": {
        "alone": "locked",
        "check_room": "check_disk_space",
        "in_work": "trainer.runs.small_files:is_running",
        "recorded": "recording",
    },
    "trainer.runs.small_files": {
        "in_work": "is_running",
    },
}

# Keywords of functions and classes that have another name now, by module and function.
KEYWORDS: dict[str, dict[str, dict[str, str]]] = {
    "active_learning.control": {"early_share": {"warm_up": "warmup"}},
    "active_learning.measures.aggregate": {
        "frame_values": {"empty_place": "empty_frame_quantile"},
    },
    "active_learning.query_strategy": {
        "QueryStrategy": {"empty_place": "empty_frame_quantile", "believed": "min_confidence"},
    },
    "active_learning.settings": {
        "SelectionSettings": {
            "warm_up": "control_warmup_frames",
            "believed": "min_confidence",
            "empty_place": "empty_frame_quantile",
        },
    },
    "trainer.backends.centernet.frames": {"read_frames": {"told": "on_done"}},
    "trainer.backends.extreme_points.blending": {"best_blend": {"held": "held_out"}},
    "trainer.backends.extreme_points.click_samples": {"sample": {"thing": "item"}},
    "trainer.backends.extreme_points.object_crops": {"crop_objects": {"told": "on_done"}},
    "trainer.backends.extreme_points.scenes": {"paste_object": {"thing": "item"}},
    "trainer.backends.learning.frames": {"read_frames": {"told": "on_done"}},
    "trainer.backends.learning.training_recipe": {"train": {"course": "recipe"}},
    "trainer.backends.semantic.frames": {"read_frames": {"told": "on_done"}},
    "trainer.backends.yolo.layout": {"write_layout": {"told": "on_done"}},
    "trainer.calibration.worth": {"fixed_share": {"learnt": "score_map"}},
    "trainer.evaluation.evaluate": {"evaluate_predictions": {"answers": "predictions"}},
    "trainer.evaluation.matching": {"match_frame": {"answer": "detections"}},
    "trainer.evaluation.mean_iou": {
        "mean_iou": {"answers": "predictions"},
        "predicted_map": {"answer": "detections"},
    },
    "trainer.evaluation.samples": {"write_samples": {"answers": "predictions"}},
    "trainer.evaluation.simulated_annotator": {"next_click": {"wanted": "target"}},
    "trainer.gate.gate_settings": {"GateSettings": {"min_first": "min_first_metric"}},
    "trainer.gate.interactor_gate": {"measure": {"told": "on_done"}},
    "trainer.importing.card": {"reading_of": {"said": "card"}},
    "trainer.importing.trial_run": {"check_detection": {"look": "compare"}},
    "trainer.runs.calibrating": {"calibrate": {"told": "on_progress"}},
}
