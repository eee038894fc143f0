"""The benchmarks: `python -m tests.bench [DEVICES] [DATABASE_URL]` prints figures and never fails."""

from tests.bench import bench_sync

if __name__ == "__main__":
    bench_sync.main()
