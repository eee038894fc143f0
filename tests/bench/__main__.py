"""Run the benchmarks: `python -m tests.bench [DEVICES] [DATABASE_URL]`. Prints figures, never fails a build."""

from tests.bench import bench_sync

if __name__ == "__main__":
    bench_sync.main()
