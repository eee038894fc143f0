"""The benchmarks: `python -m tests.bench [DEVICES] [DATABASE_URL]` prints figures and never fails."""

from tests.bench import bench_alerts, bench_assign, bench_home, bench_page, bench_sync

if __name__ == "__main__":
    bench_sync.main()
    bench_assign.main()
    bench_home.main()
    bench_alerts.main()
    bench_page.main()
