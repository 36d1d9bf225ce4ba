//! The kinds of machines of the demo plant: what each measures when it is well, and what goes wrong with it.
//!
//! [`super::rules`] has the limits that a well machine keeps and a troubled one breaks; tests hold the two together.

/// A kind of machine.
#[derive(Debug)]
pub(super) struct Kind {
    /// What the register calls it.
    pub name: &'static str,
    /// Who makes it.
    pub manufacturer: &'static str,
    /// Which model the plant has.
    pub model: &'static str,
    /// Free facts, as a JSON object.
    pub attributes: &'static str,
    /// What is done to it now and then.
    pub upkeep: [&'static str; 2],
    /// What it measures.
    pub signals: &'static [Signal],
    /// What goes wrong with it now and then.
    pub faults: &'static [&'static Fault],
}

/// A metric of a well machine.
#[derive(Debug)]
pub(super) struct Signal {
    /// Which metric.
    pub metric: &'static str,
    /// Its value at rest.
    pub idle: f64,
    /// Its value at full work.
    pub full: f64,
    /// By how much the afternoon is above the day's mean.
    pub warmth: f64,
    /// How restless it is; it wanders up to three times as far.
    pub noise: f64,
}

/// Something that goes wrong: a metric moves to a value that no well machine has.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    /// Which metric.
    pub metric: &'static str,
    /// Where it goes.
    pub level: f64,
}

const fn signal(metric: &'static str, idle: f64, full: f64, noise: f64) -> Signal {
    Signal { metric, idle, full, warmth: 0.0, noise }
}

const fn temperature(idle: f64, full: f64, noise: f64) -> Signal {
    Signal { metric: "temperature", idle, full, warmth: 3.0, noise }
}

const fn fault(metric: &'static str, level: f64) -> Fault {
    Fault { metric, level }
}

static ROBOT_OVERHEATED: Fault = fault("temperature", 86.0);
static PRESSURE_EXCEEDED: Fault = fault("pressure", 271.0);
static PRESSURE_LOST: Fault = fault("pressure", 112.0);
static FURNACE_OVERHEATED: Fault = fault("temperature", 1325.0);
static SPINDLE_WORN: Fault = fault("vibration", 7.4);
static BELT_STUCK: Fault = fault("belt_speed", 0.08);
static LENSES_DIRTY: Fault = fault("reject_rate", 9.5);

/// What happens to a furnace so seldom that somebody must look at it.
pub(super) static COOLANT_LOST: Fault = fault("coolant_flow", 13.0);

/// The metrics of all kinds: name, unit, what it is.
pub(super) const METRICS: &[(&str, &str, &str)] = &[
    ("belt_speed", "m/s", "Speed of the belt."),
    ("coolant_flow", "l/min", "Flow of coolant through the coil."),
    ("current", "A", "Welding current."),
    ("cycle_time", "s", "Time from one part to the next."),
    ("force", "kN", "Force of the ram."),
    ("frequency", "kHz", "Frequency of the inverter."),
    ("power", "kW", "Electrical power taken from the mains."),
    ("pressure", "bar", "Pressure of the hydraulic oil."),
    ("reject_rate", "%", "Share of parts that were rejected."),
    ("speed", "rpm", "Speed of the spindle."),
    ("temperature", "°C", "Temperature where the machine is hottest."),
    ("vibration", "mm/s", "Vibration velocity, root mean square."),
];

/// The metric that every machine of the plant reports.
pub(super) const COMMON_METRIC: &str = "power";

/// Welds car body parts.
pub(super) static WELDING_ROBOT: Kind = Kind {
    name: "welding-robot",
    manufacturer: "Norden Robotik",
    model: "NR-6 210",
    attributes: r#"{"axes":6,"payload_kg":210,"protocol":"opcua"}"#,
    upkeep: ["Changed contact tips and wire liner", "Greased axes 1 to 3, checked the cable package"],
    signals: &[
        signal("current", 40.0, 185.0, 4.0),
        signal("power", 1.1, 9.5, 0.3),
        temperature(28.0, 46.0, 1.2),
        signal("vibration", 0.4, 1.4, 0.1),
    ],
    faults: &[&ROBOT_OVERHEATED],
};

/// Draws sheet metal.
pub(super) static HYDRAULIC_PRESS: Kind = Kind {
    name: "hydraulic-press",
    manufacturer: "Hallberg Hydraulik",
    model: "HP-1600",
    attributes: r#"{"tonnage":1600,"hydraulic":true,"protocol":"modbus-tcp"}"#,
    upkeep: ["Changed the seals of the main cylinder", "Filtered the oil, changed the return filter"],
    signals: &[
        signal("force", 300.0, 1600.0, 25.0),
        signal("power", 6.0, 37.0, 1.1),
        signal("pressure", 165.0, 210.0, 3.0),
        temperature(31.0, 48.0, 0.9),
        signal("vibration", 0.6, 2.1, 0.15),
    ],
    faults: &[&PRESSURE_EXCEEDED, &PRESSURE_LOST],
};

/// Melts.
pub(super) static INDUCTION_FURNACE: Kind = Kind {
    name: "induction-furnace",
    manufacturer: "Thermion",
    model: "IF-250 K",
    attributes: r#"{"capacity_kg":500,"lining":"neutral","protocol":"modbus-tcp"}"#,
    upkeep: ["Renewed the lining", "Flushed the coil's cooling circuit"],
    signals: &[
        signal("coolant_flow", 40.0, 44.0, 0.8),
        signal("frequency", 8.5, 8.5, 0.05),
        signal("power", 60.0, 250.0, 4.0),
        Signal { warmth: 0.0, ..temperature(910.0, 1180.0, 6.0) },
    ],
    faults: &[&FURNACE_OVERHEATED],
};

/// Mills.
pub(super) static CNC_MILL: Kind = Kind {
    name: "cnc-mill",
    manufacturer: "Kestrel Werkzeugmaschinen",
    model: "K5-840",
    attributes: r#"{"axes":5,"spindle_kw":15,"tool_places":60,"protocol":"mtconnect"}"#,
    upkeep: [
        "Measured the spindle's runout, changed its bearings",
        "Changed coolant, cleaned the chip conveyor",
    ],
    signals: &[
        signal("power", 1.2, 15.0, 0.5),
        signal("speed", 1200.0, 8400.0, 90.0),
        temperature(27.0, 52.0, 1.0),
        signal("vibration", 0.5, 1.9, 0.14),
    ],
    faults: &[&SPINDLE_WORN],
};

/// Carries parts from one machine to the next.
pub(super) static CONVEYOR: Kind = Kind {
    name: "conveyor",
    manufacturer: "Sandvall Fördertechnik",
    model: "BF-1200",
    attributes: r#"{"length_m":12,"width_mm":1200,"protocol":"mqtt"}"#,
    upkeep: ["Tightened the belt, aligned the drums", "Changed two rollers"],
    signals: &[
        signal("belt_speed", 0.45, 0.65, 0.012),
        signal("power", 0.6, 2.2, 0.08),
        temperature(26.0, 41.0, 0.9),
        signal("vibration", 0.3, 1.1, 0.1),
    ],
    faults: &[&BELT_STUCK],
};

/// Looks at parts and rejects bad ones.
pub(super) static VISION_RIG: Kind = Kind {
    name: "vision-rig",
    manufacturer: "Clarion Optik",
    model: "VQ-4",
    attributes: r#"{"cameras":4,"resolution_mp":20,"protocol":"opcua"}"#,
    upkeep: ["Calibrated the cameras", "Cleaned lenses and lights"],
    signals: &[
        signal("cycle_time", 3.6, 3.2, 0.06),
        signal("power", 0.5, 0.9, 0.02),
        signal("reject_rate", 1.1, 1.3, 0.15),
        temperature(24.0, 36.0, 0.7),
    ],
    faults: &[&LENSES_DIRTY],
};

/// All of them.
#[cfg(test)]
pub(super) static ALL: [&Kind; 6] =
    [&WELDING_ROBOT, &HYDRAULIC_PRESS, &INDUCTION_FURNACE, &CNC_MILL, &CONVEYOR, &VISION_RIG];
