// A product two enabled cycles after its operands, in a DSP48E1: registers at A, B and P, none behind the multiplier.
// Pins and parameters as in UG479 and UG953; what is unused is tied off as they ask.
module deepdive_dsp #(
    parameter A_WIDTH = 25,
    parameter B_WIDTH = 18
) (
    input wire clk,
    input wire enable,
    input wire signed [A_WIDTH-1:0] a,  // 25 bits at most
    input wire signed [B_WIDTH-1:0] b,  // 18 bits at most
    output wire signed [A_WIDTH+B_WIDTH-1:0] product
);
    wire signed [29:0] wide_a = a;
    wire signed [17:0] wide_b = b;
    wire [47:0] p;

    assign product = p[A_WIDTH+B_WIDTH-1:0];

    DSP48E1 #(
        .USE_DPORT("FALSE"),
        .A_INPUT("DIRECT"),
        .B_INPUT("DIRECT"),
        .USE_MULT("MULTIPLY"),
        .USE_SIMD("ONE48"),
        .USE_PATTERN_DETECT("NO_PATDET"),
        .AREG(1),
        .ACASCREG(1),
        .BREG(1),
        .BCASCREG(1),
        .CREG(1),
        .MREG(0),
        .PREG(1),
        .ADREG(0),
        .DREG(0),
        .ALUMODEREG(0),
        .CARRYINREG(0),
        .CARRYINSELREG(0),
        .INMODEREG(0),
        .OPMODEREG(0)
    ) dsp (
        .CLK(clk),
        .A(wide_a),
        .B(wide_b),
        .P(p),
        .C(48'hffffffffffff),
        .D(25'd0),
        .ALUMODE(4'b0000),  // Z + W + X + Y + CIN
        .INMODE(5'b00000),  // A2 and B2 multiply
        .OPMODE(7'b0000101),  // X and Y from the multiplier, the others 0
        .CARRYINSEL(3'b000),
        .CARRYIN(1'b0),
        .CEA1(1'b0),
        .CEA2(enable),
        .CEB1(1'b0),
        .CEB2(enable),
        .CEP(enable),
        .CEAD(1'b0),
        .CEALUMODE(1'b0),
        .CEC(1'b0),
        .CECARRYIN(1'b0),
        .CECTRL(1'b0),
        .CED(1'b0),
        .CEINMODE(1'b0),
        .CEM(1'b0),
        .RSTA(1'b0),
        .RSTALLCARRYIN(1'b0),
        .RSTALUMODE(1'b0),
        .RSTB(1'b0),
        .RSTC(1'b0),
        .RSTCTRL(1'b0),
        .RSTD(1'b0),
        .RSTINMODE(1'b0),
        .RSTM(1'b0),
        .RSTP(1'b0),
        .ACIN(30'd0),
        .BCIN(18'd0),
        .PCIN(48'd0),
        .CARRYCASCIN(1'b0),
        .MULTSIGNIN(1'b0),
        .ACOUT(),
        .BCOUT(),
        .PCOUT(),
        .CARRYCASCOUT(),
        .CARRYOUT(),
        .MULTSIGNOUT(),
        .OVERFLOW(),
        .PATTERNBDETECT(),
        .PATTERNDETECT(),
        .UNDERFLOW()
    );
endmodule
