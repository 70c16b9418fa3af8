"""Mistakes in what a run does whose folder is deleted or moved away under it."""

from mistakes_list import mistakes

LOCK = "tests/workbench/studies/test_lock_first.py"
FAULTS = "tests/workbench/studies/test_faults.py"
JOBS = "tests/workbench/studies/test_background.py"

MISTAKES = [
    *mistakes(
        "src/workbench/studies/disk/lock.py",
        LOCK,
        ("a lock never looks whether its file is still there", "            self.check()\n", ""),
        ("another run's lock is taken away", "if _is_at(handle, path) and not (", "if not ("),
    ),
    *mistakes(
        "src/workbench/studies/runner.py",
        LOCK,
        (
            "a study is made in another run's folder",
            "        lock.check()\n        store = opened(",
            "        store = opened(",
            "test_a_run_whose_folder_is_begun_anew_while_it_plans_makes_no_study_there",
        ),
    ),
    *mistakes(
        "src/workbench/studies/runner.py",
        FAULTS,
        (
            "a run trains on in a folder that isn't its own",
            "lock.checked(on_progress or (lambda progress: None))",
            "on_progress or (lambda progress: None)",
            "test_nothing_is_lost[begun_anew]",
        ),
    ),
    *mistakes(
        "src/workbench/studies/disk/store.py",
        FAULTS,
        (
            "another run's manifest is overwritten",
            "        self._check_in_place()\n        manifest = ",
            "        manifest = ",
            "test_nothing_is_lost[begun_anew]",
        ),
    ),
    *mistakes(
        "src/workbench/studies/background.py",
        JOBS,
        (
            "a job that is begun anew hears how another one ended",
            "if job._held_state() == at_work:",
            "if job._held_state():",
            "test_a_job_writes_no_end_over_what_another_says_in_its_place",
        ),
    ),
    *mistakes(
        "src/workbench/studies/background.py",
        "tests/workbench/views/widgets/test_job_view.py",
        (
            "a record that became shorter is read from where the last one ended",
            "offset if offset <= file.seek(0, os.SEEK_END) else 0",
            "offset",
            "test_live_begins_anew_with_a_job_whose_folder_was_deleted",
        ),
    ),
    *mistakes(
        "src/workbench/views/widgets/job_view.py",
        "tests/workbench/views/widgets/test_job_view.py",
        (
            "points of a job that is gone stay",
            "if offset < self._offset:",
            "if False:",
            "test_live_begins_anew_with_a_job_whose_folder_was_deleted",
        ),
    ),
    *mistakes(
        "src/workbench/ladder/climb.py",
        "tests/workbench/ladder/test_climb.py",
        (
            "a ladder is climbed on in a folder that isn't its own",
            "tell=lock.checked(climber.tell)",
            "tell=climber.tell",
            "test_a_ladder_whose_folder_is_moved_away_ends_at_the_next_step",
        ),
    ),
]
