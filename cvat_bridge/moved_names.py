"""Where the modules of version 0.1 went: old name to new, read by trainer.moved."""

from __future__ import annotations

MOVED = {
    "cvat_bridge.annotate.found": "cvat_bridge.annotate.shapes_to_write",
    "cvat_bridge.annotate.outcome": "cvat_bridge.annotate.summary",
    "cvat_bridge.annotate.standing": "cvat_bridge.annotate.existing_shapes",
    "cvat_bridge.annotate.wanted": "cvat_bridge.annotate.request",
    "cvat_bridge.annotate.words": "cvat_bridge.annotate.messages",
    "cvat_bridge.annotate_cli": "cvat_bridge.cli.annotate",
    "cvat_bridge.blindspots.failing": "cvat_bridge.blindspots.at_threshold",
    "cvat_bridge.blindspots.likeness": "cvat_bridge.blindspots.failure_similarity",
    "cvat_bridge.blindspots.pooling": "cvat_bridge.blindspots.pool_matches",
    "cvat_bridge.blindspots.wishes": "cvat_bridge.blindspots.search_target",
    "cvat_bridge.cli.edge": "cvat_bridge.cli.error_exit",
    "cvat_bridge.cli.run_events": "cvat_bridge.service.run_events",
    "cvat_bridge.cli.showing": "cvat_bridge.cli.display",
    "cvat_bridge.cli.trying": "cvat_bridge.cli.sandbox_commands",
    "cvat_bridge.cli.upkeep": "cvat_bridge.cli.maintenance",
    "cvat_bridge.client": "cvat_bridge.cvat.client",
    "cvat_bridge.console": "cvat_bridge.cli.console",
    "cvat_bridge.convert": "cvat_bridge.shapes.convert",
    "cvat_bridge.corrections": "cvat_bridge.loop.proposals.corrections",
    "cvat_bridge.cvat.reach": "cvat_bridge.cvat.reachability",
    "cvat_bridge.cvat.sameness": "cvat_bridge.cvat.shape_equality",
    "cvat_bridge.demo.charts": "cvat_bridge.demo.curves.charts",
    "cvat_bridge.demo.trial": "cvat_bridge.demo.sample_project",
    "cvat_bridge.demo.truth": "cvat_bridge.demo.ground_truth",
    "cvat_bridge.doctor": "cvat_bridge.cli.doctor",
    "cvat_bridge.facts": "cvat_bridge.project.facts",
    "cvat_bridge.frames.label_changes": "cvat_bridge.pull.label_changes",
    "cvat_bridge.frames.labelled_frames": "cvat_bridge.pull.labelled_frames",
    "cvat_bridge.frames.learned_objects": "cvat_bridge.pull.learned_objects",
    "cvat_bridge.frames.likeness": "trainer.data.fingerprints",
    "cvat_bridge.gateway": "cvat_bridge.cvat.gateway",
    "cvat_bridge.judged": "cvat_bridge.evaluations",
    "cvat_bridge.judged.building": "cvat_bridge.evaluations.columns",
    "cvat_bridge.judged.judgements": "cvat_bridge.evaluations.evaluated_frames",
    "cvat_bridge.judged.looks": "cvat_bridge.evaluations.appearance",
    "cvat_bridge.ledger.damage": "cvat_bridge.database.damage",
    "cvat_bridge.loop.assignment": "cvat_bridge.loop.people.assignment",
    "cvat_bridge.loop.comparing": "cvat_bridge.loop.proposals.comparing",
    "cvat_bridge.loop.corrections": "cvat_bridge.loop.proposals.corrections",
    "cvat_bridge.loop.honest": "cvat_bridge.loop.unseen_holdout",
    "cvat_bridge.loop.outlook": "cvat_bridge.loop.live_status",
    "cvat_bridge.loop.outlook.learning": "cvat_bridge.loop.live_status.fit_progress",
    "cvat_bridge.loop.outlook.people": "cvat_bridge.loop.live_status.waiting_people",
    "cvat_bridge.loop.people.looking": "cvat_bridge.loop.people.job_notes",
    "cvat_bridge.loop.people.of_round": "cvat_bridge.loop.people.round_notes",
    "cvat_bridge.loop.people.section": "cvat_bridge.loop.people.guide_section",
    "cvat_bridge.loop.people.words": "cvat_bridge.loop.people.summaries",
    "cvat_bridge.loop.preannotate": "cvat_bridge.loop.proposals.preannotate",
    "cvat_bridge.loop.proposals.fair": "cvat_bridge.loop.proposals.pool_estimate",
    "cvat_bridge.loop.proposing": "cvat_bridge.loop.proposals.proposing",
    "cvat_bridge.loop.trust.beginning": "cvat_bridge.loop.trust.starting_weights",
    "cvat_bridge.loop.trust.standing": "cvat_bridge.loop.trust.current",
    "cvat_bridge.loop.witnessing": "cvat_bridge.loop.recording",
    "cvat_bridge.mistakes_cli": "cvat_bridge.cli.mistakes",
    "cvat_bridge.models.bring": "cvat_bridge.models.from_file",
    "cvat_bridge.models.mending": "cvat_bridge.models.repair",
    "cvat_bridge.models.place": "cvat_bridge.models.workspace",
    "cvat_bridge.models.shelf": "cvat_bridge.models.catalogue",
    "cvat_bridge.models_cli": "cvat_bridge.cli.models",
    "cvat_bridge.preannotate": "cvat_bridge.loop.proposals.preannotate",
    "cvat_bridge.predict": "cvat_bridge.loop.predict",
    "cvat_bridge.preview": "cvat_bridge.cli.preview",
    "cvat_bridge.prioritise": "cvat_bridge.loop.prioritise",
    "cvat_bridge.recovery.starting": "cvat_bridge.recovery.startup",
    "cvat_bridge.rest": "cvat_bridge.cvat.rest",
    "cvat_bridge.round.assignment": "cvat_bridge.loop.people.assignment",
    "cvat_bridge.round.availability": "cvat_bridge.project.availability",
    "cvat_bridge.round.choosing": "cvat_bridge.loop.choosing",
    "cvat_bridge.round.comparing": "cvat_bridge.loop.proposals.comparing",
    "cvat_bridge.round.deciding": "cvat_bridge.loop.deciding",
    "cvat_bridge.round.disputes": "cvat_bridge.mistakes.disputes",
    "cvat_bridge.round.fitting": "cvat_bridge.training.fitting",
    "cvat_bridge.round.holdout": "cvat_bridge.frames.holdout",
    "cvat_bridge.round.learning": "cvat_bridge.loop.learning",
    "cvat_bridge.round.markers": "cvat_bridge.project.markers",
    "cvat_bridge.round.micro_model": "cvat_bridge.training.micro_model",
    "cvat_bridge.round.parts": "cvat_bridge.loop.parts",
    "cvat_bridge.round.proposing": "cvat_bridge.loop.proposals.proposing",
    "cvat_bridge.round.publishing": "cvat_bridge.models.publishing",
    "cvat_bridge.round.queueing": "cvat_bridge.loop.queueing",
    "cvat_bridge.round.ranking": "cvat_bridge.loop.ranking",
    "cvat_bridge.round.reading": "cvat_bridge.project.reading",
    "cvat_bridge.round.rounds": "cvat_bridge.loop.rounds",
    "cvat_bridge.round.serving": "cvat_bridge.models.serving",
    "cvat_bridge.round.sides": "cvat_bridge.pull.sides",
    "cvat_bridge.round.steps": "cvat_bridge.loop.steps",
    "cvat_bridge.round.trust": "cvat_bridge.loop.trust",
    "cvat_bridge.round.workflow": "cvat_bridge.loop.workflow",
    "cvat_bridge.run_events": "cvat_bridge.service.run_events",
    "cvat_bridge.sandbox.annotation_store": "cvat_bridge.sandbox.annotations.annotation_store",
    "cvat_bridge.sandbox.auth": "cvat_bridge.sandbox.accounts.auth",
    "cvat_bridge.sandbox.batches": "cvat_bridge.sandbox.models.batches",
    "cvat_bridge.sandbox.call": "cvat_bridge.sandbox.web.call",
    "cvat_bridge.sandbox.creation": "cvat_bridge.sandbox.frames.creation",
    "cvat_bridge.sandbox.data": "cvat_bridge.sandbox.frames.data",
    "cvat_bridge.sandbox.data_meta": "cvat_bridge.sandbox.frames.data_meta",
    "cvat_bridge.sandbox.deliveries": "cvat_bridge.sandbox.notifications.deliveries",
    "cvat_bridge.sandbox.detection": "cvat_bridge.sandbox.models.detection",
    "cvat_bridge.sandbox.errors": "cvat_bridge.sandbox.web.errors",
    "cvat_bridge.sandbox.events": "cvat_bridge.sandbox.notifications.events",
    "cvat_bridge.sandbox.fields": "cvat_bridge.sandbox.web.fields",
    "cvat_bridge.sandbox.functions": "cvat_bridge.sandbox.models.functions",
    "cvat_bridge.sandbox.guides": "cvat_bridge.sandbox.resources.guides",
    "cvat_bridge.sandbox.intake": "cvat_bridge.sandbox.frames.intake",
    "cvat_bridge.sandbox.invocation": "cvat_bridge.sandbox.models.invocation",
    "cvat_bridge.sandbox.issues": "cvat_bridge.sandbox.resources.issues",
    "cvat_bridge.sandbox.jobs": "cvat_bridge.sandbox.resources.jobs",
    "cvat_bridge.sandbox.label_book": "cvat_bridge.sandbox.resources.label_book",
    "cvat_bridge.sandbox.labelling": "cvat_bridge.sandbox.annotations.labelling",
    "cvat_bridge.sandbox.labels": "cvat_bridge.sandbox.resources.labels",
    "cvat_bridge.sandbox.listing": "cvat_bridge.sandbox.web.listing",
    "cvat_bridge.sandbox.mapping": "cvat_bridge.sandbox.models.mapping",
    "cvat_bridge.sandbox.media": "cvat_bridge.sandbox.frames.media",
    "cvat_bridge.sandbox.members": "cvat_bridge.sandbox.accounts.members",
    "cvat_bridge.sandbox.merging": "cvat_bridge.sandbox.annotations.merging",
    "cvat_bridge.sandbox.organizations": "cvat_bridge.sandbox.accounts.organizations",
    "cvat_bridge.sandbox.permissions": "cvat_bridge.sandbox.accounts.permissions",
    "cvat_bridge.sandbox.projects": "cvat_bridge.sandbox.resources.projects",
    "cvat_bridge.sandbox.records": "cvat_bridge.sandbox.resources.records",
    "cvat_bridge.sandbox.regions": "cvat_bridge.sandbox.models.regions",
    "cvat_bridge.sandbox.removal": "cvat_bridge.sandbox.resources.removal",
    "cvat_bridge.sandbox.requests": "cvat_bridge.sandbox.frames.requests",
    "cvat_bridge.sandbox.schema": "cvat_bridge.sandbox.store.schema",
    "cvat_bridge.sandbox.server": "cvat_bridge.sandbox.about",
    "cvat_bridge.sandbox.shapes": "cvat_bridge.sandbox.annotations.shapes",
    "cvat_bridge.sandbox.sources": "cvat_bridge.sandbox.frames.sources",
    "cvat_bridge.sandbox.state": "cvat_bridge.sandbox.store.state",
    "cvat_bridge.sandbox.storages": "cvat_bridge.sandbox.frames.storages",
    "cvat_bridge.sandbox.tasks": "cvat_bridge.sandbox.resources.tasks",
    "cvat_bridge.sandbox.tokens": "cvat_bridge.sandbox.accounts.tokens",
    "cvat_bridge.sandbox.tracks": "cvat_bridge.sandbox.annotations.tracks",
    "cvat_bridge.sandbox.uploads": "cvat_bridge.sandbox.frames.uploads",
    "cvat_bridge.sandbox.users": "cvat_bridge.sandbox.accounts.users",
    "cvat_bridge.sandbox.validation": "cvat_bridge.sandbox.frames.validation",
    "cvat_bridge.sandbox.webhooks": "cvat_bridge.sandbox.notifications.webhooks",
    "cvat_bridge.serving_cli": "cvat_bridge.cli.serving",
    "cvat_bridge.setup": "cvat_bridge.cli.setup",
    "cvat_bridge.shapes.sameness": "cvat_bridge.cvat.shape_equality",
    "cvat_bridge.status": "cvat_bridge.loop.status",
    "cvat_bridge.thresholds.corrected": "cvat_bridge.thresholds.correction_history",
    "cvat_bridge.thresholds.expected": "cvat_bridge.thresholds.expected_time",
    "cvat_bridge.thresholds.of_round": "cvat_bridge.thresholds.round_thresholds",
    "cvat_bridge.train_cli": "cvat_bridge.cli.train",
    "cvat_bridge.training.by_hand": "cvat_bridge.training.manual",
    "cvat_bridge.training_choice": "cvat_bridge.training.choice",
    "cvat_bridge.web.errands": "cvat_bridge.web.task_queue",
    "cvat_bridge.web.people": "cvat_bridge.web.access",
    "cvat_bridge.web.routes.asking": "cvat_bridge.web.routes.request_models",
    "cvat_bridge.web.screens.looking": "cvat_bridge.web.screens.model_view",
    "cvat_bridge.web.signing": "cvat_bridge.web.sign_in",
    "cvat_bridge.webhooks": "cvat_bridge.service.webhooks",
}

# The names of version 0.1 that have another one now, by module; "module:name" stands elsewhere.
RENAMED: dict[str, dict[str, str]] = {
    "cvat_bridge.loop.people.assignment": {
        name: f"cvat_bridge.loop.people.guide_section:{name}"
        for name in ("BEGIN", "END", "section", "with_section", "write_guide")
    },
    "cvat_bridge.loop.proposals.proposing": {
        "Matching": "cvat_bridge.shapes.detected:LabelMatching",
        "match_labels": "cvat_bridge.shapes.detected:match_labels",
    },
    "cvat_bridge.annotate.existing_shapes": {
        "Standing": "ExistingShapes",
    },
    "cvat_bridge.annotate.frames": {
        "Decoded": "DecodedFrame",
        "decoded": "decode_frames",
    },
    "cvat_bridge.annotate.inference": {
        "Draw": "MaskMaker",
        "Runner": "InferenceRunner",
        "Seen": "FrameInference",
    },
    "cvat_bridge.annotate.messages": {
        "listed": "join_names",
    },
    "cvat_bridge.annotate.plan": {
        "Plan": "AnnotationPlan",
        "TaskPlan": "TaskAnnotationPlan",
        "why_not": "reason_to_skip",
    },
    "cvat_bridge.annotate.request": {
        "Wanted": "AnnotationRequest",
    },
    "cvat_bridge.annotate.summary": {
        "LeftOut": "SkippedFrame",
        "Outcome": "AnnotationSummary",
    },
    "cvat_bridge.annotate.writing": {
        "settle": "finish_pending_writes",
    },
    "cvat_bridge.assembly": {
        "View": "BridgeView",
        "assembled": "assemble",
        "joined": "join_parts",
        "opened": "open_bridge",
        "viewed": "open_view",
        "working": "start_bridge",
    },
    "cvat_bridge.blindspots.bounds": {
        "Counted": "ShareCounts",
        "counted": "count_share",
        "pooled": "pooled_counts",
    },
    "cvat_bridge.blindspots.page": {
        "Page": "BlindSpotsReport",
    },
    "cvat_bridge.blindspots.search_target": {
        "Wish": "SearchTarget",
        "likeness": "failure_probability",
        "wish_of": "read_search_target",
    },
    "cvat_bridge.blindspots.slicing": {
        "Boxes": "SliceableBoxes",
        "Cells": "ConditionCells",
        "Found": "WeakSlice",
    },
    "cvat_bridge.blindspots.types": {
        "TaskPlan": "TaskPreview",
        "Verdict": "SliceVerdict",
    },
    "cvat_bridge.cli.console": {
        "Shown": "ProgressOutput",
        "bars": "progress_bars",
    },
    "cvat_bridge.cli.error_exit": {
        "OURS": "KNOWN_ERRORS",
        "leave": "exit_with_error",
    },
    "cvat_bridge.cvat.rest.refusals": {
        "Failure": "RequestFailure",
    },
    "cvat_bridge.demo.arm": {
        "Plan": "ArmPlan",
        "Told": "RoundCallback",
    },
    "cvat_bridge.demo.calls": {
        "Said": "RetryCallback",
        "unsaid": "ignore_retries",
    },
    "cvat_bridge.demo.ground_truth": {
        "Truth": "GroundTruth",
    },
    "cvat_bridge.demo.sample_project": {
        "Trial": "SampleProject",
    },
    "cvat_bridge.evaluations.appearance": {
        "Boxes": "BoxFeatures",
        "LookStore": "AppearanceStore",
        "Pictured": "FrameFeatures",
        "Witness": "AppearanceRecorder",
    },
    "cvat_bridge.evaluations.attributes": {
        "FrameLook": "FrameAppearance",
        "look_at": "measure_appearance",
    },
    "cvat_bridge.evaluations.evaluated_frames": {
        "JudgedFrame": "EvaluatedFrame",
        "Where": "FrameLocation",
    },
    "cvat_bridge.evaluations.matching": {
        "Matched": "FrameMatches",
    },
    "cvat_bridge.evaluations.pools": {
        "PoolPlace": "PoolImage",
    },
    "cvat_bridge.evaluations.recording": {
        "judge": "evaluate_frames",
    },
    "cvat_bridge.evaluations.table": {
        "Crops": "CropTable",
        "Judged": "EvaluationTable",
        "SeenPool": "PoolTable",
        "read_judged": "read_evaluation",
    },
    "cvat_bridge.ledger.records": {
        "Outcome": "CorrectionOutcome",
    },
    "cvat_bridge.loop.choosing": {
        "Chosen": "ChosenFrames",
    },
    "cvat_bridge.loop.deciding": {
        "Witness": "PredictionObserver",
        "settle": "decide_champion",
    },
    "cvat_bridge.loop.live_status.fit_progress": {
        "Learning": "FitProgress",
        "learning_now": "current_fit",
    },
    "cvat_bridge.loop.live_status.waiting_people": {
        "Waiting": "WaitingPerson",
    },
    "cvat_bridge.loop.people.round_notes": {
        "Looked": "AssistingModel",
    },
    "cvat_bridge.loop.predict": {
        "Witness": "PredictionObserver",
    },
    "cvat_bridge.loop.proposals.corrections": {
        "Corrected": "CorrectionSummary",
        "Tally": "CorrectionCounts",
        "tally": "count_corrections",
    },
    "cvat_bridge.loop.proposals.pool_estimate": {
        "Fair": "PoolEstimate",
        "fair_figure": "estimate_pool",
    },
    "cvat_bridge.loop.recording": {
        "seeing": "open_appearance",
    },
    "cvat_bridge.loop.status": {
        "standing": "project_state",
    },
    "cvat_bridge.loop.trust.levels": {
        "Trust": "ModelTrust",
    },
    "cvat_bridge.loop.trust.starting_weights": {
        "Beginning": "StartingModel",
        "beginning": "starting_model",
        "without": "without_refused",
    },
    "cvat_bridge.loop.unseen_holdout": {
        "Honest": "UnseenHoldout",
        "honest_part": "unseen_part",
    },
    "cvat_bridge.loop.workflow": {
        "Ended": "FinishedRound",
    },
    "cvat_bridge.models.catalogue": {
        "Known": "CatalogueModel",
        "Shelf": "ModelCatalogue",
    },
    "cvat_bridge.models.figures": {
        "Judged": "VersionScores",
    },
    "cvat_bridge.models.from_file": {
        "Brought": "AddedModel",
        "bring": "add_from_file",
    },
    "cvat_bridge.models.relabelling": {
        "Shown": "ShownLabels",
    },
    "cvat_bridge.models.repair": {
        "mend_champion": "repair_champion",
        "whole_champion": "intact_champion",
    },
    "cvat_bridge.models.trial": {
        "Trial": "TrialResult",
    },
    "cvat_bridge.models.workspace": {
        "Place": "ModelWorkspace",
        "place": "open_workspace",
    },
    "cvat_bridge.progress": {
        "Told": "EventCallback",
        "unheard": "ignore_event",
    },
    "cvat_bridge.projects": {
        "Served": "ServedProjects",
    },
    "cvat_bridge.recovery.command": {
        "Outcome": "RestoreOutcome",
    },
    "cvat_bridge.recovery.startup": {
        "Start": "StartupChecks",
        "started": "startup_checks",
    },
    "cvat_bridge.running": {
        "followed": "follow_configuration",
        "standing_of": "state_of",
    },
    "cvat_bridge.service.figures": {
        "Standing": "ProjectState",
    },
    "cvat_bridge.service.projects": {
        "Looks": "ProjectWorker",
    },
    "cvat_bridge.service.service": {
        "Outcome": "TickResult",
    },
    "cvat_bridge.service.webhooks": {
        "Verdict": "DeliveryVerdict",
        "judge": "classify_delivery",
    },
    "cvat_bridge.shapes.convert": {
        "LeftOut": "SkippedObjects",
    },
    "cvat_bridge.shapes.detected": {
        "Matching": "LabelMatching",
    },
    "cvat_bridge.thresholds.correction_history": {
        "Experience": "CorrectionHistory",
        "experience": "correction_history",
    },
    "cvat_bridge.thresholds.rule": {
        "Seconds": "DrawingSeconds",
    },
    "cvat_bridge.training.choice": {
        "Choice": "TrainingChoice",
        "Part": "TrainingPart",
    },
    "cvat_bridge.web.routes.similar": {
        "errand_of": "queued_task",
    },
    "cvat_bridge.web.screens.figures": {
        "Figures": "ModelFigures",
        "Verdict": "GateVerdict",
    },
    "cvat_bridge.web.screens.history": {
        "Corrected": "RoundCorrections",
    },
    "cvat_bridge.web.screens.model_view": {
        "Looking": "ModelView",
        "looking": "model_view",
    },
    "cvat_bridge.web.sites": {
        "Doing": "CurrentActivity",
    },
    "cvat_bridge.web.task_queue": {
        "Errand": "QueuedTask",
        "Errands": "TaskQueue",
    },
}

KEYWORDS: dict[str, dict[str, dict[str, str]]] = {
    "cvat_bridge.annotate.plan": {
        "AnnotationPlan": {"wanted": "request"},
        "make_plan": {"wanted": "request"},
    },
    "cvat_bridge.cvat.gateway": {
        "Lease": {"told": "description"},
    },
    "cvat_bridge.cvat.lease": {
        "ProjectLease": {"told": "description"},
    },
    "cvat_bridge.cvat.shape_equality": {
        "missing_shapes": {"wanted": "required"},
        "missing_tags": {"wanted": "required"},
    },
    "cvat_bridge.demo.calls": {
        "Calls": {"said": "on_retry"},
    },
    "cvat_bridge.loop.deciding": {
        "decide_champion": {"witness": "observer"},
    },
    "cvat_bridge.loop.people.guide_section": {
        "write_guide": {"told": "about_model"},
        "section": {"told": "about_model"},
    },
    "cvat_bridge.loop.predict": {
        "predict": {"witness": "observer"},
    },
    "cvat_bridge.training.fitting": {
        "run_fit": {"told": "on_event"},
    },
    "cvat_bridge.training.micro_model": {
        "learn_interactor": {"told": "on_event"},
    },
}
