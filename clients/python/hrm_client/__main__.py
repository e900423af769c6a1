"""`python -m hrm_client` is `hrm-ask`."""

import sys

from hrm_client.terminal import main

sys.exit(main())
