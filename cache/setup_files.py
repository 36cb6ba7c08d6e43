"""The small files beside the Dockerfile. Azure ML's own contents are not public (FACTS §7): these are ours.

They enter no name. Every function returns the same bytes for the same arguments.
"""

import json

from envkiln.cache.definition import SparkSection

BROKEN_PROXY = b"""\
# Some proxies answer pipelined or cached requests of apt with damaged data.
Acquire::http::Pipeline-Depth "0";
Acquire::http::No-Cache "true";
Acquire::BrokenProxy "true";
"""

LOG4J = b"""\
# Used while spark_cache.py fetches packages: warnings and errors only, on the console.
log4j.rootCategory=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n
"""

_SPARK_CACHE = '''\
"""Fetch this environment's Spark packages while the image is built, so that a job starts without downloads.

Runs under spark-submit. A second spark-submit resolves the packages into the Ivy cache of the image; the program it
runs is this file again, which then has nothing to do.
"""
import os
import subprocess
import sys

REPOSITORIES = {repositories}
PACKAGES = {packages}


def main():
    if not PACKAGES or os.environ.get("ENVKILN_SPARK_FETCH"):
        return 0
    here = os.path.dirname(os.path.abspath(__file__))
    command = [os.path.join(os.environ["SPARK_HOME"], "bin", "spark-submit"), "--master", "local[1]"]
    command += ["--packages", ",".join(PACKAGES)]
    if REPOSITORIES:
        command += ["--repositories", ",".join(REPOSITORIES)]
    command.append(os.path.abspath(__file__))
    # Not --driver-java-options: it would replace those of the image, which may name a proxy or a trust store.
    log4j = "-Dlog4j.configuration=file:" + os.path.join(here, "log4j.properties")
    options = (os.environ.get("SPARK_SUBMIT_OPTS", "") + " " + log4j).strip()
    return subprocess.call(command, env=dict(os.environ, ENVKILN_SPARK_FETCH="1", SPARK_SUBMIT_OPTS=options))


if __name__ == "__main__":
    sys.exit(main())
'''


def spark_cache(spark: SparkSection) -> bytes:
    """Return `spark_cache.py`, which fetches the packages of `spark` unless it says not to."""
    packages = spark.packages if spark.precache else ()
    # JSON lists of texts are Python lists of texts, in Python 2 as well, which old Spark images still run.
    return _SPARK_CACHE.format(
        repositories=json.dumps(list(spark.repositories)), packages=json.dumps(list(packages))
    ).encode()
