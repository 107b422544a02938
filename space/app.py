"""The app as a hosted demo: a Space of the Hugging Face Hub runs this file."""

import os
import sys

from infer.__main__ import main

sys.exit(
    main(
        [
            "app",
            "--host=0.0.0.0",
            f"--port={os.environ.get('GRADIO_SERVER_PORT', '7860')}",
            "--max-megapixels=4",  # of two slow cores, which many share
        ]
    )
)
