"""All benchmarks, as a table: ratios, each with its reference in the same run."""

import os
import sys

import bench_ask
import bench_build
import bench_names
import bench_service
import bench_status


def main() -> None:
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    print("| work | reference in the same run | measured | target |\n|---|---|---|---|")
    for module in (bench_names, bench_service, bench_build, bench_status, bench_ask):
        for row in module.rows():
            print(f"| {row.work} | {row.reference} | {row.measured} | {row.target} |", flush=True)


if __name__ == "__main__":
    main()
