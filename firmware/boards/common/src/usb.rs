//! A line over USB: the board is a serial port of the host (CDC-ACM).

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use usb_device::UsbError;
use usb_device::bus::{UsbBus, UsbBusAllocator};
use usb_device::device::{
    StringDescriptors, UsbDevice, UsbDeviceBuilder, UsbDeviceState, UsbVidPid,
};
use usbd_serial::{CdcAcmClass, USB_CLASS_CDC};

/// Bytes of the largest packet of a full-speed bulk endpoint.
const PACKET: usize = 64;

/// A packet that is shorter than the largest one ends a transfer, so that the host does not wait for more.
const CHUNK: usize = PACKET - 1;

/// The numbers that obdev.at lends to serial ports of anybody, which are told apart by their names.
const ANYBODY: UsbVidPid = UsbVidPid(0x16c0, 0x27dd);

/// A serial port over USB. Reads and writes wait; both serve the bus, and so does
/// [`ReadReady::read_ready`], which the application asks again and again.
pub struct UsbLine<'b, B: UsbBus> {
    device: UsbDevice<'b, B>,
    port: CdcAcmClass<'b, B>,
    packet: [u8; PACKET],
    /// Where in `packet` the bytes begin that nobody has read yet, and where they end.
    unread: core::ops::Range<usize>,
}

impl<'b, B: UsbBus> UsbLine<'b, B> {
    /// A serial port with the name of the board.
    ///
    /// # Errors
    ///
    /// When the bus has no room for its endpoints, or for the names.
    pub fn new(bus: &'b UsbBusAllocator<B>, board: &'static str) -> Result<Self, ErrorKind> {
        let port = CdcAcmClass::new(bus, PACKET as u16);
        let names = StringDescriptors::default()
            .manufacturer("niwaki")
            .product(board);
        let device = UsbDeviceBuilder::new(bus, ANYBODY)
            .device_class(USB_CLASS_CDC)
            .strings(&[names])
            .map_err(|_| ErrorKind::OutOfMemory)?
            .build();
        Ok(Self {
            device,
            port,
            packet: [0; PACKET],
            unread: 0..0,
        })
    }

    /// Whether a program of the host has the port open.
    fn connected(&self) -> bool {
        self.device.state() == UsbDeviceState::Configured && self.port.dtr()
    }
}

impl<B: UsbBus> ErrorType for UsbLine<'_, B> {
    type Error = ErrorKind;
}

impl<B: UsbBus> ReadReady for UsbLine<'_, B> {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        self.device.poll(&mut [&mut self.port]);
        if self.unread.is_empty() {
            self.unread = match self.port.read_packet(&mut self.packet) {
                Ok(len) => 0..len,
                Err(UsbError::WouldBlock) => 0..0,
                Err(_) => return Err(ErrorKind::Other),
            };
        }
        Ok(!self.unread.is_empty())
    }
}

impl<B: UsbBus> Read for UsbLine<'_, B> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while !self.read_ready()? {
            core::hint::spin_loop();
        }
        let came = self.packet.get(self.unread.clone()).unwrap_or_default();
        let taken = came.len().min(buffer.len());
        buffer
            .iter_mut()
            .zip(came)
            .for_each(|(to, from)| *to = *from);
        self.unread.start += taken;
        Ok(taken)
    }
}

impl<B: UsbBus> Write for UsbLine<'_, B> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let chunk = bytes.get(..CHUNK).unwrap_or(bytes);
        if chunk.is_empty() {
            return Ok(0);
        }
        loop {
            self.device.poll(&mut [&mut self.port]);
            // A host that has gone takes nothing for ever.
            if !self.connected() {
                return Err(ErrorKind::NotConnected);
            }
            match self.port.write_packet(chunk) {
                Ok(written) => return Ok(written),
                Err(UsbError::WouldBlock) => core::hint::spin_loop(),
                Err(_) => return Err(ErrorKind::Other),
            }
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        // What has been written is in the controller's memory, and goes when the host asks for it.
        self.device.poll(&mut [&mut self.port]);
        Ok(())
    }
}
