//! What the kernel knows of this process. Where it does not say, as on other systems, nothing is told.

use super::page::Page;
use super::table::{CPU, MAX_FDS, OPEN_FDS, RESIDENT, THREADS, VIRTUAL};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use std::fs;

pub(super) fn write(page: &mut Page) {
    let told = Told::of_this_process().unwrap_or_default();
    page.one(&CPU, told.cpu_seconds);
    page.one(&RESIDENT, told.resident_bytes);
    page.one(&VIRTUAL, told.virtual_bytes);
    page.one(&THREADS, told.threads);
    page.one(&OPEN_FDS, fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64));
    page.one(&MAX_FDS, getrlimit(Resource::Nofile).current.map(|most| most as f64));
}

#[derive(Debug, Default, PartialEq)]
struct Told {
    cpu_seconds: Option<f64>,
    threads: Option<f64>,
    virtual_bytes: Option<f64>,
    resident_bytes: Option<f64>,
}

impl Told {
    fn of_this_process() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        Some(Self::read(&stat, clock_ticks_per_second() as f64, page_size() as f64))
    }

    /// From the one line of `/proc/self/stat`. The name of the program, in brackets, may hold anything.
    fn read(stat: &str, ticks_per_second: f64, page_bytes: f64) -> Self {
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace().collect();
        // Counted from one, as in proc(5); what follows the name is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Self {
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) / ticks_per_second),
            threads: field(20),
            virtual_bytes: field(23),
            resident_bytes: field(24).map(|pages| pages * page_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_kernel_is_understood_whatever_the_program_is_called() {
        let line = "7 (a) b (c) S 1 7 7 0 -1 4194560 900 0 3 0 150 50 0 0 20 0 9 0 12345 104857600 2560 1844";
        let told = Told::read(line, 100.0, 4096.0);
        assert_eq!(
            told,
            Told {
                cpu_seconds: Some(2.0),
                threads: Some(9.0),
                virtual_bytes: Some(104_857_600.0),
                resident_bytes: Some(10_485_760.0),
            }
        );
        assert_eq!(Told::read("", 100.0, 4096.0), Told::default());
    }

    #[test]
    fn this_process_is_known_to_the_kernel() {
        let told = Told::of_this_process().unwrap();
        assert!(told.resident_bytes.unwrap() > 1e6 && told.threads.unwrap() >= 1.0, "{told:?}");
    }
}
