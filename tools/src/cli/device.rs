//! `niwaki device`.

mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use niwaki_tools::artifact::{Artifact, SampleResult};
use niwaki_tools::data::{self, Array, Elements, Side as DataSide};
use niwaki_tools::device::{self, BoardModel, BoardPort, Client, Emulator, Options};
use niwaki_tools::progress;
use niwaki_wire::{Record, Side};

use report::Report;

/// Talk to a board that runs the firmware's application.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  niwaki device --port /dev/ttyACM0 info
      What the board is, and what model it runs.
  niwaki device --port COM3 upload model.niwaki --activate
      Uploads a model, has the board test it, and makes the board run it.
  niwaki device --qemu mps2-an386 run --data test.npz --model model.niwaki --limit 20
      The same on an emulated board; runs 20 inputs there and holds outputs and every layer's
      digest against this machine's.
  niwaki device --tcp localhost:4444 stats --json

An emulator that `--qemu` starts ends with the command. To keep one, start it yourself with
`-serial tcp:127.0.0.1:4444,server=on,wait=off` and use --tcp.

The exit code is 1 when the board refuses, does not answer, or gives other bits than this machine.")]
pub(super) struct Device {
    #[command(flatten)]
    place: Place,
    /// Bits a second of the serial port.
    #[arg(long, value_name = "N", default_value_t = 115_200)]
    baud: u32,
    /// The image for --qemu; by default it is built.
    #[arg(long, value_name = "ELF", requires = "qemu")]
    image: Option<PathBuf>,
    /// Seconds to wait for an answer before a request is sent again; twelve times as long where the
    /// board runs its model.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    timeout: f64,
    /// How often a request is sent again.
    #[arg(long, value_name = "N", default_value_t = 3)]
    retries: u32,
    /// End the session of another host.
    #[arg(long)]
    take_over: bool,
    /// Print as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// Where the board is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// A serial port, such as /dev/ttyACM0 or COM3.
    #[arg(long, value_name = "PATH")]
    port: Option<PathBuf>,
    /// A board that QEMU emulates.
    #[arg(long, value_name = "BOARD")]
    qemu: Option<String>,
    /// A socket.
    #[arg(long, value_name = "HOST:PORT")]
    tcp: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What the board is, and what model it runs.
    Info,
    /// Run samples.
    Run(Run),
    /// Run the model's golden vector.
    SelfTest,
    /// What each layer costs, on inputs of zeros.
    Profile(Profile),
    /// What the board has seen since it started.
    Stats,
    /// Upload a model beside the one that runs.
    Upload(Upload),
    /// Test the uploaded model, and run it from now on.
    Activate,
    /// Go back to the model before.
    Rollback,
}

#[derive(Debug, Args)]
struct Run {
    /// Inputs.
    #[arg(long, value_name = "IN.npz")]
    data: PathBuf,
    /// The model that has to run: it is uploaded and activated unless the board has it, and outputs
    /// and every layer's digest are held against this machine's.
    #[arg(long, value_name = "MODEL.niwaki")]
    model: Option<PathBuf>,
    /// Run the first N samples only.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Where outputs go, as s<k>_out<j>.
    #[arg(short, long, value_name = "OUT.npz")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Profile {
    /// The model that has to run, uploaded and activated unless the board has it: it gives the layers
    /// their names.
    #[arg(long, value_name = "MODEL.niwaki")]
    model: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Upload {
    /// The model: a .niwaki file, or one that `niwaki sign` has made.
    file: PathBuf,
    /// Activate it, too.
    #[arg(long)]
    activate: bool,
    /// The version of a model that is not signed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    model_version: u32,
}

/// A number of seconds that a duration can be made of.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err(format!(
            "`{text}` is no number of seconds from 0.01 to 86400"
        )),
    }
}

impl Device {
    pub(super) fn run(self) -> Result<ExitCode> {
        // What is wrong with a file is found before a board is started.
        let upload = match &self.command {
            Command::Upload(upload) => Some(upload.read()?),
            _ => None,
        };
        let (_emulator, line) = match &self.place {
            Place {
                port: Some(port), ..
            } => (None, device::open_serial(port, self.baud)?),
            Place { tcp: Some(tcp), .. } => (None, device::open_tcp(tcp)?),
            Place { qemu, .. } => {
                let board = qemu.as_deref().context("no board is named")?;
                let image = match &self.image {
                    Some(image) => image.clone(),
                    None => Emulator::build(board)?,
                };
                let (emulator, line) = Emulator::start(board, &image)?;
                (Some(emulator), line)
            }
        };
        let options = Options {
            patience: Duration::from_secs_f64(self.timeout),
            retries: self.retries,
            take_over: self.take_over,
        };
        let mut client = Client::connect(line, options)?;
        let mut report = match &self.command {
            Command::Info => Report::info(&client.info()?)?,
            Command::Run(run) => run.on(&mut client)?,
            Command::SelfTest => {
                let (golden, first_difference) = client.self_test()?;
                Report::self_test(golden, first_difference)
            }
            Command::Profile(profile) => profile.on(&mut client)?,
            Command::Stats => {
                let info = client.info()?;
                let statistics = client.statistics()?;
                let count = info.model.as_ref().map_or(0, |model| model.inputs);
                let inputs = (0..count).map(|input| client.input_statistics(input));
                let inputs: Vec<_> = inputs.collect::<Result<_>>()?;
                let inputs: Vec<_> = inputs.into_iter().flatten().collect();
                Report::statistics(&info, &statistics, &inputs)
            }
            Command::Upload(asked) => {
                let update = upload.unwrap_or_default();
                let mut report = Report::uploaded(upload_to(&mut client, &update)?);
                if asked.activate {
                    report.add(&Report::activated(&client.activate()?));
                }
                report
            }
            Command::Activate => Report::activated(&client.activate()?),
            Command::Rollback => Report::activated(&client.roll_back()?),
        };
        report.retries(client.retries());
        report.print(self.json)?;
        Ok(report.exit_code())
    }
}

impl Upload {
    fn read(&self) -> Result<Vec<u8>> {
        let file = &self.file;
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        device::update_of(&bytes, self.model_version)
            .with_context(|| format!("cannot upload {}", file.display()))
    }
}

/// Uploads an update with a bar, and gives its bytes and the seconds that it took.
fn upload_to(client: &mut Client, update: &[u8]) -> Result<(usize, f64)> {
    let bar = progress::bar("upload", update.len());
    let begin = Instant::now();
    let uploaded = client.upload(update, &mut |bytes| bar.set_position(bytes as u64));
    bar.finish_and_clear();
    uploaded?;
    Ok((update.len(), begin.elapsed().as_secs_f64()))
}

/// Has the board run a model, which is uploaded unless it does already.
fn install(client: &mut Client, artifact: &Artifact) -> Result<BoardModel> {
    let header = niwaki::artifact::MAGIC.len();
    let sha256 = artifact
        .bytes()
        .get(header..header + 32)
        .unwrap_or_default();
    let sha256: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    if let Some(model) = client.info()?.model
        && model.sha256 == sha256
    {
        return Ok(model);
    }
    upload_to(client, &device::update_of(artifact.bytes(), 1)?)?;
    client.activate()
}

impl Run {
    fn on(&self, client: &mut Client) -> Result<Report> {
        let artifact = self.model.as_deref().map(Artifact::read).transpose()?;
        if let Some(artifact) = &artifact {
            install(client, artifact)?;
        }
        let inputs: Vec<_> = slots(client.ports(Side::Input)?);
        let outputs: Vec<_> = slots(client.ports(Side::Output)?);
        let mut samples = data::read_samples(&self.data, &inputs, DataSide::Input)?;
        samples.samples.truncate(self.limit.unwrap_or(usize::MAX));
        ensure!(!samples.samples.is_empty(), "there are no samples to run");
        // Digests cost the board a second look at every layer: only where they are compared.
        let record = match artifact {
            Some(_) => Record::Digests,
            None => Record::Nothing,
        };
        let bar = progress::bar("run", samples.samples.len());
        let begin = Instant::now();
        let (mut results, mut costs, mut drifted) = (Vec::new(), Vec::new(), false);
        for sample in &samples.samples {
            let bytes: Vec<_> = sample.iter().map(Elements::to_bytes).collect();
            let (cost, drift) = client.run(&bytes, record)?;
            let indices = 0..u16::try_from(outputs.len())?;
            let outputs = indices.map(|output| client.output(output));
            results.push(SampleResult {
                outputs: outputs.collect::<Result<_>>()?,
                digests: match record {
                    Record::Digests => client.recorded(record)?,
                    _ => Vec::new(),
                },
            });
            costs.push(cost);
            drifted |= drift;
            bar.inc(1);
        }
        bar.finish_and_clear();
        let seconds = begin.elapsed().as_secs_f64();
        if let Some(path) = &self.output {
            let mut arrays = Vec::new();
            for (k, result) in results.iter().enumerate() {
                for (j, (slot, bytes)) in outputs.iter().zip(&result.outputs).enumerate() {
                    let array = Array {
                        shape: slot.shape.clone(),
                        elements: Elements::from_bytes(slot.dtype, bytes),
                    };
                    arrays.push((format!("s{k}_out{j}"), array));
                }
            }
            data::write_arrays(path, &arrays)?;
        }
        let expected = artifact
            .map(|artifact| artifact.run(&samples))
            .transpose()?;
        let info = client.info()?;
        Ok(Report::run(
            info.unit,
            &results,
            &costs,
            expected.as_deref(),
            drifted,
            seconds,
        ))
    }
}

fn slots(ports: Vec<BoardPort>) -> Vec<data::Slot> {
    ports.into_iter().map(|port| port.slot).collect()
}

impl Profile {
    fn on(&self, client: &mut Client) -> Result<Report> {
        let artifact = self.model.as_deref().map(Artifact::read).transpose()?;
        if let Some(artifact) = &artifact {
            install(client, artifact)?;
        }
        let inputs: Vec<_> = client
            .ports(Side::Input)?
            .iter()
            .map(|port| vec![0; port.bytes as usize])
            .collect();
        let (run, _) = client.run(&inputs, Record::Nothing)?;
        client.run(&inputs, Record::Costs)?;
        let costs = client.recorded(Record::Costs)?;
        let info = client.info()?;
        Report::profile(info.unit, run, &costs, artifact.as_ref())
    }
}
